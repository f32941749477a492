"""What the snoop sees in a group of memory, shows, and counts."""

import json
from random import Random

import pytest
from attrs import define, field

from peer.config import GroupAddress, Groups
from protocol.codec import serialize
from protocol.messages import Chunk, Delete, Message, PutChunk, Stored
from protocol.values import VERSION_1_0, FileId, PeerId
from tests.support.clock import SimClock, run_for
from tests.support.lan import Datagram, MemoryLan, MemoryNetwork
from tools.snoop.rendering import as_line, as_object, summary_object, summary_text
from tools.snoop.sighting import MALFORMED, Filter, Sighting
from tools.snoop.watch import Watch

GROUPS = Groups(
    mc=GroupAddress("239.0.0.1", 1), mdb=GroupAddress("239.0.0.2", 2), mdr=GroupAddress("239.0.0.3", 3)
)
FILE = FileId(bytes(range(32)))
OTHER_FILE = FileId(bytes(reversed(range(32))))


def putchunk(sender: int = 1, *, file_id: FileId = FILE, no: int = 0, degree: int = 2) -> PutChunk:
    return PutChunk(VERSION_1_0, PeerId(sender), file_id, no, degree, b"abc")


def stored(sender: int, *, file_id: FileId = FILE, no: int = 0) -> Stored:
    return Stored(VERSION_1_0, PeerId(sender), file_id, no)


@define
class Street:
    """A snoop that watches, and somebody who speaks."""

    wanted: Filter = field(factory=Filter)
    count: int = 0
    clock: SimClock = field(factory=SimClock)
    shown: list[Sighting] = field(factory=list)
    sent_by_snoop: list[Datagram] = field(factory=list)
    watch: Watch = field(init=False)
    lan: MemoryLan = field(init=False)
    speaker: MemoryNetwork = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.lan = MemoryLan(clock=self.clock, random=Random(1))
        self.watch = Watch(
            clock=self.clock,
            wall_clock=lambda: 1_700_000_000.25,
            show=self.shown.append,
            wanted=self.wanted,
            count=self.count,
        )
        network = self.lan.network("10.0.0.9")
        self.watch.listen(network, GROUPS)
        self.speaker = self.lan.network("10.0.0.1")
        self.lan.tap(lambda sent: self.sent_by_snoop.append(sent) if sent.source[0] == "10.0.0.9" else None)

    def say(self, said: Message | bytes, *, group: GroupAddress = GROUPS.mc, after: float = 0.0) -> None:
        run_for(self.clock, after)
        self.speaker.send(group, said if isinstance(said, bytes) else serialize(said))
        run_for(self.clock, 0.001)


class TestLines:
    def test_one_tells_when_where_from_whom_what_and_how_long(self) -> None:
        street = Street()
        street.say(putchunk(7, no=3), group=GROUPS.mdb)
        line = as_line(street.shown[0])
        for part in (".250", "MDB", "10.0.0.1:32769", "PUTCHUNK 1.0 from 7", "00010203…/3 degree 2 body 3"):
            assert part in line
        assert line.endswith("(91 bytes)")

    def test_what_is_malformed_is_shown_with_the_reason(self) -> None:
        """SPEC.md 2.18 names the reasons."""
        street = Street()
        street.say(b"ONLINE 1.1 7 \r\n\r\n")
        assert "malformed, unknown-type: b'ONLINE'" in as_line(street.shown[0])

    def test_an_object_has_the_fields_of_the_header(self) -> None:
        street = Street()
        street.say(putchunk(7, no=3), group=GROUPS.mdb)
        assert json.loads(json.dumps(as_object(street.shown[0]))) == {
            "time": 1_700_000_000.25,
            "group": "MDB",
            "address": "10.0.0.1",
            "port": 32769,
            "bytes": 91,
            "type": "PUTCHUNK",
            "version": "1.0",
            "sender_id": 7,
            "file_id": FILE.hex(),
            "chunk_no": 3,
            "replication_degree": 2,
            "body_bytes": 3,
        }

    def test_a_delete_names_a_file_and_no_chunk(self) -> None:
        street = Street()
        street.say(Delete(VERSION_1_0, PeerId(7), FILE))
        assert as_line(street.shown[0]).endswith("DELETE   1.0 from 7  00010203…  (82 bytes)")
        assert "chunk_no" not in as_object(street.shown[0])

    def test_a_malformed_object_has_the_reason(self) -> None:
        street = Street()
        street.say(b"")
        seen = as_object(street.shown[0])
        assert (seen["type"], seen["reason"], seen["bytes"]) == (MALFORMED, "empty", 0)


class TestFilters:
    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (Filter(), ["PUTCHUNK", "STORED", "STORED", "DELETE", MALFORMED]),
            (Filter(kinds=frozenset({"STORED"})), ["STORED", "STORED"]),
            (Filter(kinds=frozenset({MALFORMED, "DELETE"})), ["DELETE", MALFORMED]),
            (Filter(senders=frozenset({2})), ["STORED"]),
            (Filter(files=(OTHER_FILE.hex()[:5],)), ["STORED", "DELETE"]),
            (Filter(kinds=frozenset({"STORED"}), files=(FILE.hex(),)), ["STORED"]),
        ],
    )
    def test_what_is_not_wanted_is_neither_shown_nor_counted(
        self, wanted: Filter, expected: list[str]
    ) -> None:
        street = Street(wanted)
        for said in (
            putchunk(1),
            stored(2),
            stored(3, file_id=OTHER_FILE),
            Delete(VERSION_1_0, PeerId(1), OTHER_FILE),
            b"garbage",
        ):
            street.say(said)
        assert [sighting.kind for sighting in street.shown] == expected
        assert street.watch.tally.total.datagrams == len(expected)


class TestTheEnd:
    def test_it_comes_after_as_many_datagrams_as_asked_for(self) -> None:
        street = Street(count=2)
        for sender in (1, 2, 3):
            street.say(stored(sender))
        assert street.watch.ended.called
        assert len(street.shown) == 2

    def test_it_comes_when_nobody_reads_the_lines_any_more(self) -> None:
        street = Street()

        def show(_sighting: Sighting) -> None:
            raise BrokenPipeError

        street.watch.show = show
        street.say(stored(1))
        failures: list[object] = []
        street.watch.ended.addErrback(lambda failure: failures.append(failure.type))
        assert failures == [BrokenPipeError]

    def test_nothing_was_sent(self) -> None:
        street = Street()
        street.say(putchunk())
        street.say(b"")
        run_for(street.clock, 60.0)
        assert street.sent_by_snoop == []


class TestSummary:
    def test_it_counts_by_type_and_sender(self) -> None:
        street = Street()
        for sender in (1, 1, 2):
            street.say(stored(sender))
        street.say(b"STORED\r\n\r\n")
        rows = {key: (row.datagrams, row.bytes) for key, row in street.watch.tally.rows.items()}
        size = len(serialize(stored(1)))
        assert rows == {
            ("STORED", "1"): (2, 2 * size),
            ("STORED", "2"): (1, size),
            ("wrong-field-count", "10.0.0.1"): (1, 10),
        }

    def test_a_chunk_is_at_its_degree_when_as_many_distinct_peers_have_stored_it(self) -> None:
        """SPEC.md 3.3 counts distinct senders: the same one heard twice is one."""
        street = Street()
        street.say(putchunk(1, degree=2), group=GROUPS.mdb)
        street.say(stored(2), after=0.1)
        street.say(stored(2), after=0.1)
        street.say(putchunk(1, degree=2), group=GROUPS.mdb, after=0.8)
        street.say(stored(3), after=0.25)
        (story,) = street.watch.tally.chunks.stories.values()
        assert story.until_degree == pytest.approx(1.25, abs=0.01)
        assert (story.putchunks, list(story.holders)) == (2, [2, 3])

    def test_a_chunk_below_its_degree_has_no_time(self) -> None:
        street = Street()
        street.say(putchunk(1, degree=2), group=GROUPS.mdb)
        street.say(stored(2), after=0.1)
        lines = list(summary_text(street.watch.tally))
        assert any("1 chunks, 0 of which met their degree" in line for line in lines)
        assert any("below its degree: 00010203…/0, degree 2" in line for line in lines)

    def test_many_chunks_show_as_a_distribution_and_the_worst_of_them(self) -> None:
        street = Street()
        for no in range(100):
            street.say(putchunk(1, no=no, degree=1), group=GROUPS.mdb)
            street.say(stored(2, no=no), after=0.002 * no)
        chunks = summary_object(street.watch.tally)["summary"]
        assert isinstance(chunks, dict)
        times = chunks["chunks"]["seconds_until_degree"]
        assert times["median"] == pytest.approx(0.1, abs=0.01)
        assert times["most"] == pytest.approx(0.2, abs=0.01)
        assert [chunk["chunk_no"] for chunk in chunks["chunks"]["slowest"]] == [99, 98, 97, 96, 95]
        assert any("90 % 0.18" in line for line in summary_text(street.watch.tally))

    def test_storeds_without_a_putchunk_are_told(self) -> None:
        street = Street()
        street.say(stored(2))
        assert street.watch.tally.chunks.strays == 1
        assert "1 STOREDs were for chunks whose PUTCHUNK was not seen." in summary_text(street.watch.tally)

    def test_a_chunk_s_body_is_counted_by_its_length(self) -> None:
        street = Street()
        street.say(Chunk(VERSION_1_0, PeerId(4), FILE, 0, bytes(64_000)), group=GROUPS.mdr)
        assert as_object(street.shown[0])["body_bytes"] == 64_000
