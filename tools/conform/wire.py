"""The record of every datagram sent and heard, and waiting for the next one."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from peer.config import GroupAddress, Groups
from peer.network import IGroupNetwork, SourceAddress
from protocol.codec import parse
from protocol.errors import ProtocolError
from protocol.messages import Chunk, Message, PutChunk
from tools.groups import group_names

MAX_RECORDED_BYTES = 128_000_000
"""Bytes of datagrams kept; the oldest are forgotten first. A whole run needs a tenth of it."""

MAX_HEADER_BYTES = 400
"""Bytes of a header that are kept to be shown: more than any known type needs."""

Said = TypeVar("Said", bound=Message)


@frozen(kw_only=True)
class Entry:
    """One datagram, sent by the probe or heard from the peer."""

    number: int
    """Counts all entries from 0."""
    at: float
    """Seconds since the probe started."""
    is_sent: bool
    """Whether the probe sent it."""
    group: str
    """The group by name: MC, MDB, MDR."""
    source: SourceAddress
    header: bytes
    """Up to the CRLF CRLF, with it; the beginning of it if it is long."""
    body_bytes: int
    """Length of what follows the header."""
    content: Message | ProtocolError
    """What it says, or why it says nothing."""

    def said(self, message_type: type[Said]) -> Said | None:
        """The message, if it is of this type."""
        return self.content if isinstance(self.content, message_type) else None


class Wire:
    """The three groups, as the probe sees them."""

    def __init__(self, *, network: IGroupNetwork, groups: Groups, clock: IReactorTime) -> None:
        self._network = network
        self._clock = clock
        self._began = clock.seconds()
        self._names = group_names(groups)
        self._groups = {"MC": groups.mc, "MDB": groups.mdb, "MDR": groups.mdr}
        self._entries: deque[tuple[Entry, int]] = deque()
        self._bytes = 0
        self._listeners: list[Callable[[Entry], None]] = []
        self._watchers: list[Callable[[Entry], None]] = []
        self.groups = groups
        self.mark = 0
        """The number that the next entry will have."""

    def listen(self) -> None:
        """Join the groups; NetworkUnusable if the system refuses."""
        for group, name in self._names.items():
            self._network.join(group, partial(self._came, name))

    def join_besides(self, group: GroupAddress) -> None:
        """Join one more group, and pass over what comes by it."""
        self._network.join(group, lambda _datagram, _source: None)

    @property
    def host(self) -> str:
        """The address that the probe sends from."""
        return self._network.own_address[0]

    def now(self) -> float:
        """Seconds since the probe started."""
        return self._clock.seconds() - self._began

    def send(self, group: str, datagram: bytes) -> Entry:
        """Multicast any bytes to a group, by its name."""
        entry = self._entry(group, datagram, self._network.own_address, is_sent=True)
        self._note(entry, len(datagram))
        self._network.send(self._groups[group], datagram)
        return entry

    def send_beside(self, group: GroupAddress, datagram: bytes) -> Entry:
        """Multicast any bytes to another group."""
        entry = self._entry(str(group), datagram, self._network.own_address, is_sent=True)
        self._note(entry, len(datagram))
        self._network.send(group, datagram)
        return entry

    def since(self, mark: int = 0) -> Iterator[Entry]:
        """All entries that are still kept, from the number `mark` on."""
        oldest = self.mark - len(self._entries)
        yield from [entry for entry, _size in islice(self._entries, max(0, mark - oldest), None)]

    def listen_to(self, listener: Callable[[Entry], None]) -> Callable[[], None]:
        """Have each datagram that is heard from now on given to `listener`; what is returned ends that."""
        self._listeners.append(listener)
        return partial(self._forget, listener)

    def watch(self, watcher: Callable[[Entry], None]) -> None:
        """Have each datagram from now on, sent or heard, given to `watcher` too."""
        self._watchers.append(watcher)

    async def heard(
        self, is_wanted: Callable[[Entry], bool], *, within: float, since: int | None = None
    ) -> Entry | None:
        """The first entry heard that is wanted, from the number `since` on (by default from now on).

        None if none came within so many seconds from now.
        """
        for entry in self.since(self.mark if since is None else since):
            if not entry.is_sent and is_wanted(entry):
                return entry
        waiting: Deferred[Entry | None] = Deferred()

        def look(entry: Entry) -> None:
            if is_wanted(entry) and not waiting.called:
                waiting.callback(entry)

        end_listening = self.listen_to(look)
        timeout = self._clock.callLater(within, waiting.callback, None)
        try:
            return await waiting
        finally:
            end_listening()
            if timeout.active():
                timeout.cancel()

    def _forget(self, listener: Callable[[Entry], None]) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _came(self, group: str, datagram: bytes, source: SourceAddress) -> None:
        if source == self._network.own_address:
            return
        entry = self._entry(group, datagram, source, is_sent=False)
        self._note(entry, len(datagram))
        for listener in tuple(self._listeners):
            listener(entry)

    def _entry(self, group: str, datagram: bytes, source: SourceAddress, *, is_sent: bool) -> Entry:
        header, end, body = datagram.partition(b"\r\n\r\n")
        content: Message | ProtocolError
        try:
            content = parse(datagram)
        except ProtocolError as error:
            content = error
        return Entry(
            number=self.mark,
            at=self.now(),
            is_sent=is_sent,
            group=group,
            source=source,
            header=(header + end)[:MAX_HEADER_BYTES],
            body_bytes=len(body),
            content=content,
        )

    def _note(self, entry: Entry, size: int) -> None:
        self.mark += 1
        self._entries.append((entry, size))
        self._bytes += size
        while self._bytes > MAX_RECORDED_BYTES:
            self._bytes -= self._entries.popleft()[1]
        for watcher in self._watchers:
            watcher(entry)


def usual_group(message: Message) -> str:
    """The group that SPEC.md 2.6 has for the type of the message."""
    if isinstance(message, PutChunk):
        return "MDB"
    return "MDR" if isinstance(message, Chunk) else "MC"
