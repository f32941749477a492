"""Datagrams to messages and back: the only place that sees a datagram (SPEC.md section 2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from peer.config import GroupAddress, Groups
from peer.metrics import Counters
from peer.network import IGroupNetwork, SourceAddress
from peer.rare_log import RareLog
from protocol.codec import parse, serialize_parts
from protocol.errors import ProtocolError
from protocol.messages import Chunk, Message, PutChunk
from protocol.spelling import UpperCaseIds
from protocol.values import Edition, PeerId

Receive = Callable[[Message], None]
"""Takes a message of another peer. What it raises is logged, and stops nothing."""


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
        self._counters = counters
        self._about_others = RareLog(clock=clock)
        # Apart, so that others can't use up what may be said about ourselves.
        self._about_ourselves = RareLog(clock=clock)
        self._upper_case_ids = UpperCaseIds()
        self._is_stopped = False

    def start(self, receive: Receive) -> None:
        """Join the groups, and have every message of another peer given to *receive*. Raises NetworkUnusable."""
        # Groups of one address and port are one group, whatever they are called.
        for group in dict.fromkeys((self._groups.mc, self._groups.mdb, self._groups.mdr)):
            self._network.join(group, partial(self._take_datagram, receive))

    def stop(self) -> None:
        """Hear and say nothing more."""
        self._is_stopped = True

    def send(self, message: Message) -> None:
        """Multicast the message on the group of its type."""
        if self._is_stopped:
            return
        upper_case_id = message.file_id in self._upper_case_ids
        parts = serialize_parts(message, self._edition, upper_case_id=upper_case_id)
        self._counters.note_sent(message.message_type, sum(map(len, parts)))
        self._network.send(self._group_of(message), *parts)

    def _group_of(self, message: Message) -> GroupAddress:
        if isinstance(message, PutChunk):
            return self._groups.mdb
        if isinstance(message, Chunk):
            return self._groups.mdr
        return self._groups.mc

    def _take_datagram(self, receive: Receive, datagram: bytes, source: SourceAddress) -> None:
        if self._is_stopped:
            return
        if source == self._network.own_address:
            self._counters.count("own_echo")
            return
        try:
            message = parse(datagram)
        except ProtocolError as error:
            self._note_drop(error, source)
            return
        self._counters.note_received(message.message_type, len(datagram))
        self._upper_case_ids.heard(message, datagram)
        if message.sender_id == self._peer_id:
            self._note_own_id(message, source)
        try:
            receive(message)
        except Exception:
            self._counters.count("receiver_failed")
            # Whatever a message does to who answers it, the next one is heard.
            if self._about_ourselves.is_due(message.message_type):
                self._log.failure("a {type} could not be answered", type=message.message_type)

    def _note_drop(self, error: ProtocolError, source: SourceAddress) -> None:
        self._counters.note_dropped(error.reason)
        # By address only: some programs send each datagram from another port.
        if self._about_others.is_due("drop", source[0], error.reason):
            self._log.warn("a datagram from {source} was dropped: {error}", source=_text(source), error=error)

    def _note_own_id(self, message: Message, source: SourceAddress) -> None:
        """Say loudly that somebody else uses our id, and no more: an id is a claim (SPEC.md 2.12)."""
        self._counters.count("own_id_used_by_others")
        if self._about_others.is_due("own id", source[0]):
            self._log.error(
                "{source} sends a {type} with our id {peer_id}: if another peer has that id, the two lose each "
                "other's copies, so give one of them another --id",
                source=_text(source),
                type=message.message_type,
                peer_id=self._peer_id,
            )


def _text(source: SourceAddress) -> str:
    host, port = source
    return f"{host}:{port}"
