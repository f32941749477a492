"""What was seen, as lines and tables for people and as objects for programs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from protocol.errors import ProtocolError
from protocol.messages import Chunk, Delete, Message, PutChunk
from protocol.values import ChunkId
from tools.snoop.chunks import ChunkStory
from tools.snoop.sighting import Sighting
from tools.snoop.tally import Tally

WORST = 5
"""Chunks shown one by one: those that took longest, and as many that never got there."""

QUANTILES = {"least": 0.0, "median": 0.5, "90 %": 0.9, "99 %": 0.99, "most": 1.0}


def as_line(sighting: Sighting) -> str:
    """One line: time, group, address, what it says, size in bytes."""
    clock = datetime.fromtimestamp(sighting.wall_time).strftime("%H:%M:%S.%f")[:-3]
    address = f"{sighting.source[0]}:{sighting.source[1]}"
    return f"{clock}  {sighting.channel:<3}  {address:<21}  {_content(sighting.content)}  ({sighting.size:,} bytes)"


def as_object(sighting: Sighting) -> dict[str, object]:
    """The same for JSON: every field of the header by its name in SPEC.md 2.5, the body by its length."""
    seen: dict[str, object] = {
        "time": round(sighting.wall_time, 6),
        "group": sighting.channel,
        "address": sighting.source[0],
        "port": sighting.source[1],
        "bytes": sighting.size,
        "type": sighting.kind,
    }
    content = sighting.content
    if isinstance(content, ProtocolError):
        return seen | {"reason": content.reason.value, "detail": content.detail}
    seen |= {"version": str(content.version), "sender_id": content.sender_id, "file_id": str(content.file_id)}
    if not isinstance(content, Delete):
        seen["chunk_no"] = content.chunk_no
    if isinstance(content, PutChunk):
        seen["replication_degree"] = content.replication_degree
    if isinstance(content, PutChunk | Chunk):
        seen["body_bytes"] = len(content.body)
    return seen


def summary_text(tally: Tally) -> Iterator[str]:
    """The lines of the summary at the end."""
    total = tally.total
    yield f"{total.datagrams:,} datagrams, {total.bytes:,} bytes"
    if tally.rows:
        yield ""
        yield f"  {'type':<18}  {'sender':<20}  {'datagrams':>10}  {'bytes':>15}"
        for (kind, sender), row in sorted(tally.rows.items()):
            yield f"  {kind:<18}  {sender:<20}  {row.datagrams:>10,}  {row.bytes:>15,}"
    stories = tally.chunks.stories
    if stories:
        yield ""
        yield from _chunks_text(stories)
    if tally.chunks.strays:
        yield f"{tally.chunks.strays:,} STOREDs were for chunks whose PUTCHUNK was not seen."
    if tally.chunks.forgotten:
        yield f"{tally.chunks.forgotten:,} chunks had to be forgotten: too many were seen."


def summary_object(tally: Tally) -> dict[str, object]:
    """The summary for JSON."""
    stories = tally.chunks.stories
    met = _times(stories)
    return {
        "summary": {
            "datagrams": tally.total.datagrams,
            "bytes": tally.total.bytes,
            "by_type_and_sender": [
                {"type": kind, "sender": sender, "datagrams": row.datagrams, "bytes": row.bytes}
                for (kind, sender), row in sorted(tally.rows.items())
            ],
            "chunks": {
                "seen": len(stories),
                "met": len(met),
                "seconds_until_degree": {
                    name: round(quantile(met, share), 6) for name, share in QUANTILES.items() if met
                },
                "slowest": [_chunk_object(chunk_id, story) for chunk_id, story in _slowest(stories)],
                "unmet": [_chunk_object(chunk_id, story) for chunk_id, story in _unmet(stories)[:WORST]],
                "strays": tally.chunks.strays,
                "forgotten": tally.chunks.forgotten,
            },
        }
    }


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which so large a share of the ordered values lies, as one of them."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _content(content: Message | ProtocolError) -> str:
    if isinstance(content, ProtocolError):
        return f"malformed, {content}"
    words = f"{content.message_type:<8} {content.version} from {content.sender_id}  "
    if isinstance(content, Delete):
        return f"{words}{content.file_id.hex()[:8]}…"
    words += str(content.chunk_id)
    if isinstance(content, PutChunk):
        words += f" degree {content.replication_degree}"
    if isinstance(content, PutChunk | Chunk):
        words += f" body {len(content.body):,}"
    return words


def _chunks_text(stories: Mapping[ChunkId, ChunkStory]) -> Iterator[str]:
    met = _times(stories)
    repeats = sum(story.putchunks - 1 for story in stories.values())
    yield (
        f"{len(stories):,} chunks, {len(met):,} of which met their degree; "
        f"{repeats:,} PUTCHUNKs were repetitions"
    )
    if met:
        times = ", ".join(f"{name} {quantile(met, share):.3f}" for name, share in QUANTILES.items())
        yield f"  seconds from the first PUTCHUNK until the degree: {times}"
        for chunk_id, story in _slowest(stories):
            yield f"  slowest: {_story(chunk_id, story)}"
    for chunk_id, story in _unmet(stories)[:WORST]:
        yield f"  below its degree: {_story(chunk_id, story)}"


def _story(chunk_id: ChunkId, story: ChunkStory) -> str:
    senders = (
        ", ".join(f"{peer} at {at - story.first_at:.3f}" for peer, at in story.holders.items()) or "nobody"
    )
    return f"{chunk_id}, degree {story.desired}, {story.putchunks} PUTCHUNKs, STORED from {senders}"


def _chunk_object(chunk_id: ChunkId, story: ChunkStory) -> dict[str, object]:
    return {
        "file_id": str(chunk_id.file_id),
        "chunk_no": chunk_id.chunk_no,
        "degree": story.desired,
        "putchunks": story.putchunks,
        "stored": [
            {"sender_id": peer, "seconds": round(at - story.first_at, 6)}
            for peer, at in story.holders.items()
        ],
    }


def _times(stories: Mapping[ChunkId, ChunkStory]) -> list[float]:
    return sorted(story.until_degree for story in stories.values() if story.until_degree is not None)


def _slowest(stories: Mapping[ChunkId, ChunkStory]) -> list[tuple[ChunkId, ChunkStory]]:
    met = [(chunk_id, story) for chunk_id, story in stories.items() if story.until_degree is not None]
    return sorted(met, key=lambda pair: -(pair[1].until_degree or 0.0))[:WORST]


def _unmet(stories: Mapping[ChunkId, ChunkStory]) -> list[tuple[ChunkId, ChunkStory]]:
    unmet = [(chunk_id, story) for chunk_id, story in stories.items() if story.until_degree is None]
    return sorted(unmet, key=lambda pair: len(pair[1].holders) - pair[1].desired)
