"""A peer of somebody else's on the LAN in memory: it acts by itself, simply, and with the quirks of its family.

It keeps what it needs of the protocol's rules and no more: no digests, no window, no memory of what is dead. It is
for a group with ours to live in, for tests as for simulated LANs; what it has seen can be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from random import Random

from attrs import define, field, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from peer.config import DEFAULT_GROUPS, GroupAddress
from protocol.values import CHUNK_SIZE
from tests.support.family import SIX_TYPES, Family, Reading
from tests.support.lan import Datagram, MemoryLan, MemoryNetwork

ATTEMPTS = 5
RESPONSE_DELAY = 0.4

Place = tuple[str, int]
"""A chunk: its fileId as it is spelled, since many compare it as text, and its number."""


@define
class ForeignCopy:
    """A chunk that it holds for another, or wants to have held by others."""

    body: bytes
    desired: int
    home: int
    """The id in the PUTCHUNK that brought it."""
    holders: set[int] = field(factory=set)


@frozen
class ForeignFile:
    """A file of its own."""

    file_id: str
    content: bytes
    chunk_numbers: tuple[int, ...]
    wanted_numbers: tuple[int, ...]
    """What it asks for when it restores the file."""


class ForeignPeer:
    """One peer of a family. Its user's commands return at once; what comes of them comes with time."""

    def __init__(
        self,
        family: Family,
        peer_id: int,
        *,
        network: MemoryNetwork,
        lan: MemoryLan,
        clock: IReactorTime,
        random: Random,
    ) -> None:
        self.family = family
        self.peer_id = peer_id
        self.host = network.own_address[0]
        self.killed_by: bytes | None = None
        """The datagram at which it went deaf for ever."""
        self.dropped: list[bytes] = []
        """What it didn't understand."""
        self.held: dict[Place, ForeignCopy] = {}
        self.files: dict[str, ForeignFile] = {}
        self.answered: dict[Place, set[int]] = {}
        """Who has said STORED for the chunks of its own files."""
        self._network = network
        self._lan = lan
        self._clock = clock
        self._random = random
        self._wanted: dict[Place, bytes | None] = {}
        self._chunks_heard: dict[Place, float] = {}
        self._last_chunk_heard = float("-inf")
        self._putchunks_heard: dict[Place, float] = {}
        self._calls: list[IDelayedCall] = []
        self._said_stored: set[Place] = set()

    # Its user

    def start(self) -> None:
        """Join the groups, and greet whoever is there."""
        for group in (DEFAULT_GROUPS.mc, DEFAULT_GROUPS.mdb, DEFAULT_GROUPS.mdr):
            self._network.join(group, self._take)
        if self.family.greeting:
            self._send(DEFAULT_GROUPS.mc, self.family.greeting % self.peer_id)

    def stop(self) -> None:
        """Hear and do nothing more."""
        for call in self._calls:
            if call.active():
                call.cancel()
        self._network.close()

    def backup(self, name: str, content: bytes, degree: int = 1) -> str:
        """Have the group keep a file; gives the fileId."""
        family = self.family
        file_id = sha256(f"{self.peer_id} {name}".encode() + content).hexdigest()
        if family.own_ids_are_upper_case:
            file_id = file_id.upper()
        pieces = [content[at : at + CHUNK_SIZE] for at in range(0, len(content), CHUNK_SIZE)]
        with_empty = [*pieces, b""] if len(content) % CHUNK_SIZE == 0 else pieces
        put = with_empty if family.puts_empty_last_chunk else pieces
        wanted = with_empty if family.wants_empty_last_chunk else pieces
        first = family.first_chunk_no
        self.files[name] = ForeignFile(
            file_id, content, _numbers(first, len(put)), _numbers(first, len(wanted))
        )
        for number, body in enumerate(put, first):
            self.answered[file_id, number] = set()
            self._put((file_id, number), body, degree, self.answered[file_id, number], self.peer_id)
        return file_id

    def restore(self, name: str) -> None:
        """Ask the group for the chunks of a file."""
        file = self.files[name]
        for number in file.wanted_numbers:
            self._wanted[file.file_id, number] = None
            self.ask((file.file_id, number))

    def restored(self, name: str) -> bytes | None:
        """What the group has given back of a file, once all is there."""
        file = self.files[name]
        bodies = [self._wanted.get((file.file_id, number)) for number in file.wanted_numbers]
        whole = [body for body in bodies if body is not None]
        return b"".join(whole) if len(whole) == len(bodies) else None

    def delete(self, name: str) -> None:
        """Have the group forget a file."""
        self._say("DELETE", self.peer_id, self.files.pop(name).file_id)

    def give_up(self, place: Place) -> None:
        """Drop a copy, and say so."""
        copy = self.held.pop(place)
        self._say("REMOVED", copy.home if self.family.names_others else self.peer_id, *place)

    def ask(self, place: Place, attempt: int = 0) -> None:
        """Say GETCHUNK until the chunk has come, five times at the most."""
        if self._wanted.get(place) is None and attempt < ATTEMPTS:
            self._say("GETCHUNK", self.peer_id, *place)
            self._later(2.0**attempt, partial(self.ask, place, attempt + 1))

    def ask_without_end(self, place: Place, *, a_second: int) -> None:
        """Say GETCHUNK at this rate, as one family does when nobody has the chunk."""
        self._say("GETCHUNK", self.peer_id, *place)
        self._later(1.0 / a_second, partial(self.ask_without_end, place, a_second=a_second))

    # What it hears

    def _take(self, datagram: bytes, source: tuple[str, int]) -> None:
        if self.killed_by is not None:
            return
        reading = Reading.of(datagram)
        if reading is not None and any(shock(reading) for shock in self.family.dies_of):
            self.killed_by = datagram
            return
        if (
            reading is None
            or any(shock(reading) for shock in self.family.drops)
            or reading.message_type not in SIX_TYPES
            or len(reading.fields) < 4
        ):
            self.dropped.append(datagram)
            return
        if reading.message_type == b"CHUNK":
            self._last_chunk_heard = self._clock.seconds()
        # An id is all by which most tell their own echoes.
        sender = int(reading.fields[2])
        if sender == self.peer_id:
            return
        file_id = reading.fields[3].decode()
        if reading.message_type == b"DELETE":
            self.held = {place: copy for place, copy in self.held.items() if place[0] != file_id}
            return
        place = (file_id, int(reading.fields[4]))
        body = reading.body
        if self.family.takes_second_line_for_body:
            body = b"".join(line + b"\r\n" for line in reading.other_lines) + body
        match reading.message_type:
            case b"PUTCHUNK":
                self._heard_putchunk(place, body, int(reading.fields[5]), sender)
            case b"STORED":
                self._holders_of(place).add(sender)
            case b"GETCHUNK":
                self._heard_getchunk(place)
            case b"CHUNK":
                self._chunks_heard[place] = self._clock.seconds()
                if place in self._wanted:
                    self._wanted[place] = body
            case b"REMOVED":
                self._heard_removed(place, sender)

    def _heard_putchunk(self, place: Place, body: bytes, degree: int, sender: int) -> None:
        self._putchunks_heard[place] = self._clock.seconds()
        if place in self.answered and not self.family.stores_its_own_files:
            return
        if place not in self.held:
            self.held[place] = ForeignCopy(body, degree, sender, {self.peer_id})
        elif place in self._said_stored and not self.family.repeats_stored:
            return
        self._said_stored.add(place)
        self._later(self._delay() + self.family.stored_after, partial(self._say_stored, place))

    def _say_stored(self, place: Place) -> None:
        if place in self.held:
            self._say("STORED", self.peer_id, *place)

    def _heard_getchunk(self, place: Place) -> None:
        if place in self.held:
            asked_at, delay = self._clock.seconds(), self._delay()
            self._later(delay, partial(self._answer, place, asked_at, delay))

    def _answer(self, place: Place, asked_at: float, delay: float) -> None:
        silent_until = self._last_chunk_heard + delay
        if self.family.waits_for_silence and silent_until > self._clock.seconds():
            again = partial(self._answer, place, asked_at, delay)
            self._later(silent_until - self._clock.seconds(), again)
            return
        was_answered = self._chunks_heard.get(place, -1.0) >= asked_at
        if was_answered and self._random.random() >= self.family.answers_unheard:
            return
        copy = self.held.get(place)
        body = None if copy is None else copy.body or self.family.empty_chunk_becomes
        if body is not None:
            self._say("CHUNK", self.peer_id, *place, body=body)

    def _heard_removed(self, place: Place, sender: int) -> None:
        copy = self.held.get(place)
        self._holders_of(place).discard(sender)
        if copy is not None and len(copy.holders) < copy.desired:
            self._later(self._delay(), partial(self._repair, place, copy, sender, self._clock.seconds()))

    def _repair(self, place: Place, copy: ForeignCopy, whose: int, since: float) -> None:
        if self._putchunks_heard.get(place, -1.0) < since and place in self.held:
            degree = self.family.repair_degree or copy.desired
            sender = whose if self.family.names_others else self.peer_id
            self._put(place, self.family.repair_body(copy.body), degree, copy.holders, sender)

    def _holders_of(self, place: Place) -> set[int]:
        copy = self.held.get(place)
        return copy.holders if copy is not None else self.answered.get(place, set())

    # What it says

    def _put(
        self, place: Place, body: bytes, degree: int, holders: set[int], sender: int, attempt: int = 0
    ) -> None:
        if attempt < ATTEMPTS and (attempt == 0 or len(holders) < degree):
            self._say("PUTCHUNK", sender, *place, degree, body=body)
            again = partial(self._put, place, body, degree, holders, sender, attempt + 1)
            self._later(2.0**attempt, again)

    def _say(self, message_type: str, *fields: int | str, body: bytes = b"") -> None:
        header = " ".join([message_type, "1.0", *map(str, fields)]) + " " * self.family.final_spaces
        usual = {"PUTCHUNK": DEFAULT_GROUPS.mdb, "CHUNK": DEFAULT_GROUPS.mdr}
        group = {**usual, **self.family.other_groups}.get(message_type, DEFAULT_GROUPS.mc)
        self._send(group, header.encode() + b"\r\n\r\n" + body)

    def _send(self, group: GroupAddress, datagram: bytes) -> None:
        if self.family.sends_from_group_port:
            source = (self.host, group.port)
            self._lan.carry(Datagram(self._clock.seconds(), source, group, datagram))
        else:
            self._network.send(group, datagram)

    def _delay(self) -> float:
        return self._random.uniform(0.0, RESPONSE_DELAY)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._calls.append(self._clock.callLater(seconds, call))
        if len(self._calls) > 1_000:
            self._calls = [call for call in self._calls if call.active()]


def _numbers(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count))
