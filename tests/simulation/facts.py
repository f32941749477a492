"""What is really so in a simulated group, whatever the peers believe: who has which copy, and why some are gone."""

from __future__ import annotations

from attrs import define, field, frozen

from protocol.chunking import chunk_count, chunk_length, chunk_offset
from protocol.values import ChunkId, FileId

DROPPED = "dropped"
LEFT = "left for ever"
DAMAGED = "damaged"


@frozen
class Violation:
    """A promise that was broken."""

    invariant: int
    """Its number in the list of ``tests.simulation.invariants``."""
    time: float
    said: str

    def __str__(self) -> str:
        return f"invariant {self.invariant} broken at {self.time:.4f}: {self.said}"


@define(eq=False)
class Version:
    """A content that a peer has begun to back up."""

    file_id: FileId
    home: int
    path: str
    version_id: int
    content: bytes
    desired: int
    buried_at: float | None = None
    reported_at: float | None = None
    """When a BACKUP was reported as done at ``desired``; None: never."""
    really_held: int = 0
    """How often its worst chunk was held by peers of ours when that was reported."""
    changed_at: float | None = None
    """When the home's file held something else for the first time."""

    @property
    def chunks(self) -> int:
        return chunk_count(len(self.content))

    def body(self, chunk_no: int) -> bytes:
        offset = chunk_offset(chunk_no)
        return self.content[offset : offset + chunk_length(len(self.content), chunk_no)]


@define(eq=False)
class Copies:
    """The copies on one computer's disk."""

    held: set[ChunkId] = field(factory=set)
    acknowledged: set[ChunkId] = field(factory=set)
    """Those that its STORED was sent for."""
    in_doubt: set[ChunkId] = field(factory=set)
    """Those that were being dropped when the power went: they may be there or not."""
    files_in_doubt: set[FileId] = field(factory=set)
    damaged: set[ChunkId] = field(factory=set)
    """Those with a bit that isn't what it was, and those that were wrong when they came."""
    flipped: dict[ChunkId, float] = field(factory=dict)
    """The former, and since when."""

    def forget(self, chunk_id: ChunkId) -> None:
        """The peer has dropped the copy by itself."""
        for copies in (self.held, self.acknowledged, self.in_doubt, self.damaged):
            copies.discard(chunk_id)
        self.flipped.pop(chunk_id, None)

    def good(self, chunk_id: ChunkId) -> bool:
        """Whether the copy is there, with the right bytes."""
        return chunk_id in self.held and chunk_id not in self.damaged


@frozen
class Loss:
    """A copy that there is no more."""

    time: float
    who: int
    chunk_id: ChunkId
    why: str


@frozen
class Heard:
    """A REMOVED or DELETE that reached a running peer."""

    time: float
    by: int
    sender: int
    places: int = 0
    """Of a REMOVED: how many peers had the chunk then, or room for it."""
    copies: int = 0
    """Of a REMOVED: how many good ones the peers had that ran then."""


@define(eq=False)
class Facts:
    """All that is known of a run."""

    copies: dict[int, Copies] = field(factory=dict)
    versions: dict[FileId, Version] = field(factory=dict)
    losses: list[Loss] = field(factory=list)
    removed_heard: dict[ChunkId, list[Heard]] = field(factory=dict)
    delete_heard: dict[FileId, list[Heard]] = field(factory=dict)
    answered: dict[ChunkId, set[int]] = field(factory=dict)
    """Who has ever said STORED or CHUNK for a chunk, by sender id."""
    given_up: dict[ChunkId, dict[int, float]] = field(factory=dict)
    """In whose name strangers have said REMOVED for a chunk since, and when: some use the ids of others."""
    answers_overtaken: dict[tuple[int, ChunkId, int], float] = field(factory=dict)
    """When who heard last, after that REMOVED was said, that a sender holds a chunk; by listener, chunk and sender."""
    stored_at: dict[tuple[int, ChunkId], float] = field(factory=dict)
    """When a peer stored a copy last."""
    departed: set[int] = field(factory=set)

    def holders(self, chunk_id: ChunkId) -> list[int]:
        """The peers that have a good copy, and have not left for ever."""
        return [
            peer_id
            for peer_id, copies in self.copies.items()
            if peer_id not in self.departed and copies.good(chunk_id)
        ]

    def answer(self, chunk_id: ChunkId, sender: int) -> None:
        """A STORED or CHUNK was sent: what was said in that name before holds no more."""
        self.answered.setdefault(chunk_id, set()).add(sender)
        self.given_up.get(chunk_id, {}).pop(sender, None)

    def said_to(self, home: int, chunk_id: ChunkId) -> set[int]:
        """Who has said to a home that it holds a chunk, but for the strangers from which it heard that no more."""
        heard = {
            one.sender
            for one in self.removed_heard.get(chunk_id, ())
            if one.by == home
            and one.time >= self.given_up.get(chunk_id, {}).get(one.sender, float("inf"))
            and one.time >= self.answers_overtaken.get((home, chunk_id, one.sender), 0.0)
        }
        return self.answered.get(chunk_id, set()) - heard

    def answer_heard(self, time: float, by: int, chunk_id: ChunkId, sender: int) -> None:
        """A STORED or CHUNK has come to a peer, perhaps behind a REMOVED that was sent after it."""
        if sender in self.given_up.get(chunk_id, ()):
            self.answers_overtaken[by, chunk_id, sender] = time

    def lose(self, time: float, who: int, chunk_id: ChunkId, why: str) -> None:
        """A good copy is gone."""
        self.losses.append(Loss(time, who, chunk_id, why))

    def file_holds(self, time: float, home: int, path: str, content: bytes) -> None:
        """A user's file was looked at."""
        for version in self.versions.values():
            is_changed = (version.home, version.path) == (home, path) and version.content != content
            if is_changed and version.changed_at is None:
                version.changed_at = time

    def is_right(self, chunk_id: ChunkId, body: bytes) -> bool:
        """Whether a body is what the file has there; True for files of others."""
        version = self.versions.get(chunk_id.file_id)
        return version is None or (
            chunk_id.chunk_no < version.chunks and version.body(chunk_id.chunk_no) == body
        )
