"""The peer as a Twisted service: its real doors opened, and closed again in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from peer.assembly import Doors, Peer
from peer.blocking import ThreadExecutor
from peer.config import PeerConfig
from peer.control.listening import ListeningControl, check_free, listen
from peer.control.secret import load_or_make_secret, secret_path
from peer.control.server import ControlFactory
from peer.digests import DigestsAhead, digest_thread
from peer.errors import OperationError
from peer.network import NetworkUnusable, UdpNetwork, check_interface
from protocol.values import MAX_DRAWN_PEER_ID, PeerId
from storage.disk import PosixDisk
from storage.errors import StorageError
from storage.opening import OpenStorage, open_storage
from storage.slot_store import DigestAll, digest_in_turn


class StartError(Exception):
    """The peer can't start; one sentence says why and what to do."""


def open_store(config: PeerConfig, *, random: Random, digest_all: DigestAll = digest_in_turn) -> OpenStorage:
    """Open the store that the configuration names; StorageErrors say why it can't be."""
    return open_storage(
        PosixDisk(),
        config.store,
        peer_id=config.peer_id,
        draw_peer_id=lambda: PeerId(random.randrange(MAX_DRAWN_PEER_ID + 1)),
        capacity_bytes=config.capacity_bytes,
        digest_all=digest_all,
    )


def preflight(config: PeerConfig, *, random: Random, environment: Mapping[str, str]) -> None:
    """See that the peer could start, so that what it can't is said to whoever starts it and not to a log."""
    try:
        if not config.control.is_unix:
            check_free(config.control)
            load_or_make_secret(secret_path(environment), random=random)
        check_interface(config.interface)
        open_store(config, random=random).close()
    except (StorageError, OperationError, NetworkUnusable) as error:
        raise StartError(str(error)) from error


class PeerService(Service):
    """Runs one peer for as long as the service runs."""

    _log = Logger()

    def __init__(
        self,
        config: PeerConfig,
        *,
        reactor: Any,
        random: Random,
        delay_random: Random,
        wall_clock: Callable[[], float],
        environment: Mapping[str, str],
        give_up: Callable[[str], None],
    ) -> None:
        """*random* draws what nobody may guess, *delay_random* the rest.

        *give_up* is told in one sentence why the peer can't start, and ends the process.
        """
        self._config = config
        self._reactor = reactor
        self._random = random
        self._delay_random = delay_random
        self._wall_clock = wall_clock
        self._environment = environment
        self._give_up = give_up
        self._executor: ThreadExecutor | None = None
        self._digest_thread = digest_thread()
        self._network: UdpNetwork | None = None
        self._peer: Peer | None = None
        self._control: ListeningControl | None = None
        self._starting: Deferred[None] | None = None

    def startService(self) -> None:
        """Start the peer; if that can't be, say why and stop the process."""
        super().startService()
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._has_failed)

    async def stopService(self) -> None:
        """Stop the peer: what is being written is written, what is under way resumes after the next start."""
        super().stopService()
        if self._starting is not None:
            await self._starting
        if self._peer is not None:
            # First, so that whoever waits for an operation is told that it ended by this stop.
            self._peer.operations.stop()
        for what, end in (
            ("control", None if self._control is None else self._control.close),
            ("peer", None if self._peer is None else self._peer.stop),
            ("network", None if self._network is None else self._network.close),
            ("threads", None if self._executor is None else self._executor.stop),
        ):
            if end is not None:
                try:
                    await end()
                except Exception:
                    # Whatever a disk, or somebody who removed the socket, refuses here: a thread that is left would
                    # keep the process from ending.
                    self._log.failure("the {what} didn't end in order", what=what)
        # The last writes have ended with the executor: the thread is idle.
        self._digest_thread.shutdown()

    async def _start(self) -> None:
        config = self._config
        reactor = self._reactor
        self._executor = ThreadExecutor(reactor=reactor)
        storage = open_store(config, random=self._random, digest_all=DigestsAhead(self._digest_thread))
        self._network = UdpNetwork(
            reactor,
            interface=config.interface,
            ttl=config.ttl,
            receive_buffer_bytes=config.receive_buffer_bytes,
            spares_echoes=True,
        )
        self._peer = Peer(
            config,
            storage,
            Doors(
                clock=reactor,
                wall_clock=self._wall_clock,
                random=self._delay_random,
                salt_random=self._random,
                network=self._network,
                disk=PosixDisk(),
                executor=self._executor,
            ),
        )
        await self._peer.start()
        secret = None
        if not config.control.is_unix:
            secret = load_or_make_secret(secret_path(self._environment), random=self._random)
        factory = ControlFactory(
            operations=self._peer.operations, secret=secret, clock=reactor, random=self._random
        )
        self._control = await listen(config.control, factory, reactor=reactor)
        self._log.info(
            "peer {peer} serves {store}, listens to {groups} and is controlled at {control}",
            peer=self._peer.peer_id,
            store=config.store,
            groups=", ".join(
                str(group) for group in (config.groups.mc, config.groups.mdb, config.groups.mdr)
            ),
            control=self._control.access_point,
        )

    def _has_failed(self, failure: Failure) -> None:
        if failure.check(StorageError, OperationError, NetworkUnusable):
            sentence = str(failure.value)
            self._log.critical("The peer can't start: {why}", why=sentence)
        else:
            sentence = "The peer made a mistake of its own while starting; its log has the details."
            self._log.failure("The peer can't start", failure)
        self._give_up(sentence)
