"""A simulated group: the computers, the LAN between them, and time that runs as fast as the machine does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from attrs import evolve
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

from peer.config import DEFAULT_GROUPS
from protocol.messages import Chunk, Message, Removed, Stored
from protocol.values import ChunkId
from storage.capacity import charged_bytes
from storage.errors import DiskFailed, DiskFull
from tests.simulation.computer import Computer, Power, Process
from tests.simulation.facts import DAMAGED, DROPPED, LEFT, Facts, Heard, Violation
from tests.simulation.transcript import Transcript, message_of
from tests.support.clock import SimClock
from tests.support.disk import PowerLost
from tests.support.foreign_peer import ForeignPeer
from tests.support.lan import Datagram, Link, MemoryLan

RELIANCE = 60.0
"""Seconds for which a peer that drops its copy may rely on what the others have said: the 31 s of a chunk
backup, and as much again for it to wait for its turn."""

_EXPECTED_LOGS = ("is damaged and was dropped", "with our id")


@implementer(ILogObserver)
class World:
    """See the module. Faults and users act on it by what is scheduled on its ``clock``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.clock = SimClock()
        self.lan = MemoryLan(clock=self.clock, random=Random(f"{seed} lan"))
        self.lan.tap(self._saw_sent)
        self.usual_link = Link()
        self.transcript = Transcript(self.clock.seconds)
        self.facts = Facts()
        self.computers: dict[int, Computer] = {}
        self.violations: list[Violation] = []
        self.graveyard: list[Process] = []
        self.disk_faults = 0
        """How many faults of disks there were or are."""
        self.calm_since = float("inf")
        """When the faults ended."""
        self.troubles: list[tuple[float, float]] = []
        """From when to when something was wrong with the network or a peer."""
        self.bad_links: list[Link] = []
        self.groups = DEFAULT_GROUPS
        self.overheard: deque[bytes] = deque(maxlen=50)
        """The last datagrams sent."""
        self.on_cut_off: list[Callable[[Computer], None]] = []
        self.on_sent: list[Callable[[Datagram], None]] = []
        self.strangers: dict[int, ForeignPeer] = {}
        """Peers of somebody else's, by their ids."""
        self._senders: dict[str, Computer] = {}
        self._stranger_names: dict[str, str] = {}
        self._is_over = False

    def add(self, computer: Computer) -> None:
        """Let a computer join, switched off."""
        self.computers[computer.peer_id] = computer
        self._senders[computer.host] = computer

    def expect_stranger(self, host: str, name: str) -> None:
        """Have what comes from a host be a stranger's."""
        self._stranger_names[host] = name

    def say(self, who: str, what: str) -> None:
        """Have something in the transcript."""
        self.transcript.say(who, what)

    def break_promise(self, invariant: int, said: str) -> None:
        """Note that an invariant doesn't hold."""
        violation = Violation(invariant, self.clock.seconds(), said)
        self.violations.append(violation)
        self.say("!", str(violation))

    def running(self) -> list[Computer]:
        """The computers with a peer that runs."""
        return [computer for computer in self.computers.values() if computer.is_running]

    def run(self, seconds: float, is_done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until it is done, or a promise is broken, or so many seconds are over."""
        end = self.clock.seconds() + seconds
        clock = self.clock
        while not self.violations and not is_done():
            due = clock.next_time()
            if due is None or due > end:
                clock.rightNow = max(clock.rightNow, end)
                return
            try:
                clock.run_next()
            except PowerLost:
                self._power_was_lost()
            except Exception as error:
                self.break_promise(7, f"an exception escapes: {error!r}")

    def set_links(self) -> None:
        """Have the LAN be as bad as the worst of the conditions that it is in now."""
        worst = self.usual_link
        for link in self.bad_links:
            worst = Link(
                loss=max(worst.loss, link.loss),
                duplication=max(worst.duplication, link.duplication),
                min_latency=max(worst.min_latency, link.min_latency),
                max_latency=max(worst.max_latency, link.max_latency),
            )
        self.lan.link = worst

    def good_link(self) -> Link:
        """The LAN without its faults: what is sent arrives, once."""
        return evolve(self.usual_link, loss=0.0, duplication=0.0)

    def is_calm(self, since: float, until: float) -> bool:
        """Whether nothing was wrong with the network or a peer in that time."""
        return all(end < since or begin > until for begin, end in self.troubles)

    def cut_off(self, computer: Computer) -> None:
        """A process has ended: whoever waits for its user's operations is told."""
        for listen in self.on_cut_off:
            listen(computer)

    def stranger_holders(self, chunk_id: ChunkId) -> set[int]:
        """The strangers that have said that they hold a chunk, true or not: the peers can't know."""
        said = self.facts.answered.get(chunk_id, set()) - self.facts.given_up.get(chunk_id, {}).keys()
        return said & self.strangers.keys()

    def places_for(self, chunk_id: ChunkId, *, without: int = -1) -> int:
        """How many running peers hold a chunk of a simulated file, or have room for it; one of them left out."""
        version = self.facts.versions.get(chunk_id.file_id)
        if version is None or chunk_id.chunk_no >= version.chunks:
            return 0
        charge = charged_bytes(len(version.body(chunk_id.chunk_no)))
        return sum(
            computer.copies.good(chunk_id)
            or (chunk_id not in computer.copies.held and computer.has_room(charge))
            for computer in self.running()
            if computer.peer_id not in (version.home, without)
        )

    def removed_heard(self, listener: Computer, message: Removed) -> None:
        """A REMOVED has reached a computer whose peer runs."""
        chunk_id, sender = message.chunk_id, message.sender_id
        others = [computer for computer in self.running() if computer.peer_id != sender]
        heard = Heard(
            self.clock.seconds(),
            listener.peer_id,
            sender,
            places=self.places_for(chunk_id, without=sender),
            copies=sum(computer.copies.good(chunk_id) for computer in others),
        )
        self.facts.removed_heard.setdefault(chunk_id, []).append(heard)

    def bury_the_dead(self) -> None:
        """Let go of all processes, whose last words count for nothing."""
        self._is_over = True
        for computer in self.computers.values():
            computer.kill()
        self.graveyard.clear()
        self.on_cut_off.clear()
        self.on_sent.clear()
        self.clock.forget_all()

    def last_copy_dropped(self, dropper: Computer, chunk_id: ChunkId) -> None:
        """A good copy was dropped: another must be left (invariant 6), but for what faults have destroyed.

        A peer relies for a while on one that has left, and for ever on one whose copy was damaged unseen.
        """
        facts, now = self.facts, self.clock.seconds()
        version = facts.versions.get(chunk_id.file_id)
        if version is None or version.buried_at is not None or facts.holders(chunk_id):
            return
        if self.stranger_holders(chunk_id):
            return
        is_faults_work = any(
            loss.chunk_id == chunk_id
            and (loss.why == DAMAGED or (loss.why == LEFT and loss.time >= now - RELIANCE))
            for loss in facts.losses
        )
        if not is_faults_work:
            self.break_promise(6, f"{dropper.name} drops the last copy of {chunk_id}")

    @contextmanager
    def observing_logs(self) -> Iterator[None]:
        """Have what is logged judged here and go nowhere else."""
        publisher: Any = globalLogPublisher
        others = list(publisher._observers)
        publisher._observers[:] = [self]
        try:
            yield
        finally:
            publisher._observers[:] = others

    def __call__(self, event: LogEvent) -> None:
        """Judge a log event: an error that no injected fault explains breaks invariant 7."""
        if self._is_over or event.get("log_level") not in (LogLevel.error, LogLevel.critical):
            return
        failure = event.get("log_failure")
        if failure is not None and failure.check(DiskFull, DiskFailed) and self.disk_faults:
            return
        said = formatEvent(event)
        if failure is None and any(words in said for words in _EXPECTED_LOGS):
            self.say("log", said)
            return
        trace = "" if failure is None else "\n" + failure.getTraceback()
        self.break_promise(7, f"logged as an error: {said}{trace}")

    def _saw_sent(self, datagram: Datagram) -> None:
        computer = self._senders.get(datagram.source[0])
        if computer is not None:
            computer.saw_sent(datagram)
            self.overheard.append(datagram.payload)
        elif datagram.source[0] in self._stranger_names:
            self._saw_stranger(self._stranger_names[datagram.source[0]], message_of(datagram.payload))
        for listen in self.on_sent:
            listen(datagram)

    def _saw_stranger(self, name: str, message: Message | bytes) -> None:
        self.transcript.sent(name, message)
        if isinstance(message, Stored | Chunk):
            self.facts.answer(message.chunk_id, message.sender_id)
        elif isinstance(message, Removed):
            given_up = self.facts.given_up.setdefault(message.chunk_id, {})
            given_up[message.sender_id] = self.clock.seconds()
            if message.sender_id in self.strangers:
                # In its own name. It is a loss as any other's is, and may go unheard.
                self.facts.lose(self.clock.seconds(), message.sender_id, message.chunk_id, DROPPED)

    def _power_was_lost(self) -> None:
        for computer in self.computers.values():
            if computer.disk.is_off and computer.power is not Power.GONE:
                computer.crash(is_torn=True)
                return
        self.break_promise(7, "power was lost, and nobody's")
