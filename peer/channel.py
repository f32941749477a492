"""Datagrams to messages and back: the only place that sees a datagram (SPEC.md section 2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from peer.config import GroupAddress, Groups
from peer.metrics import Counters
from peer.network import IGroupNetwork, SourceAddress
from protocol.codec import parse, serialize
from protocol.errors import ProtocolError
from protocol.limits import DROP_LOG_SPACING, MAX_DROP_LOG_ENTRIES
from protocol.messages import Chunk, Message, PutChunk
from protocol.values import Edition, PeerId


class Channel:
    """The three groups as one: what comes by any of them is told by its type, what is sent goes by its type."""

    _log = Logger()

    def __init__(
        self,
        *,
        network: IGroupNetwork,
        groups: Groups,
        peer_id: PeerId,
        edition: Edition,
        clock: IReactorTime,
        counters: Counters,
    ) -> None:
        self._network = network
        self._groups = groups
        self._peer_id = peer_id
        self._edition = edition
        self._clock = clock
        self._counters = counters
        self._told_at: dict[tuple[str, str], float] = {}
        self._is_stopped = False

    def start(self, receive: Callable[[Message], None]) -> None:
        """Join the groups, and have every message of another peer given to *receive*."""
        for group in dict.fromkeys((self._groups.mc, self._groups.mdb, self._groups.mdr)):
            self._network.join(group, partial(self._datagram_came, receive))

    def stop(self) -> None:
        """Hear and say nothing more."""
        self._is_stopped = True

    def send(self, message: Message) -> None:
        """Multicast the message on the group of its type."""
        if self._is_stopped:
            return
        datagram = serialize(message, self._edition)
        self._counters.note_sent(type(message).__name__, len(datagram))
        self._network.send(self._group_of(message), datagram)

    def _group_of(self, message: Message) -> GroupAddress:
        if isinstance(message, PutChunk):
            return self._groups.mdb
        if isinstance(message, Chunk):
            return self._groups.mdr
        return self._groups.mc

    def _datagram_came(
        self, receive: Callable[[Message], None], datagram: bytes, source: SourceAddress
    ) -> None:
        if self._is_stopped or source == self._network.own_address:
            return
        try:
            message = parse(datagram)
        except ProtocolError as error:
            self._counters.note_dropped(error.reason)
            self._tell(source, error.reason.name, f"dropped a datagram: {error}")
            return
        self._counters.note_received(type(message).__name__, len(datagram))
        if message.sender_id == self._peer_id:
            self._counters.count("own_id_used_by_others")
            self._tell(
                source,
                "own id",
                f"another peer uses our id {self._peer_id}: give one of the two another --id",
            )
        try:
            receive(message)
        except Exception:
            # No message may stop the listener, whatever it does to who answers it.
            self._log.failure("a {type} could not be answered", type=type(message).__name__)

    def _tell(self, source: SourceAddress, what: str, sentence: str) -> None:
        """Log, at most once a minute for each source and reason."""
        now = self._clock.seconds()
        key = (source[0], what)
        if now - self._told_at.get(key, float("-inf")) < DROP_LOG_SPACING:
            return
        self._told_at.pop(key, None)
        self._told_at[key] = now
        if len(self._told_at) > MAX_DROP_LOG_ENTRIES:
            del self._told_at[next(iter(self._told_at))]
        self._log.warn("{source}: {sentence}", source=source[0], sentence=sentence)
