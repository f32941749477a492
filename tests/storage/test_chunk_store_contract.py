"""What every chunk store does. A fake that passes this may stand for the real one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from protocol.digest import Digest
from protocol.values import ChunkId, PeerId
from storage.interfaces import (
    HeldChunk,
    HolderChange,
    HolderNote,
    IChunkStore,
    PutOutcome,
    ReadOutcome,
)
from storage.memory_store import MemoryChunkStore
from storage.scrub import ScrubBatch, ScrubMark
from storage.slot_store import SlotChunkStore
from tests.storage.examples import CAPACITY, a_chunk, chunk_id, file_id, open_slot_store, peers
from tests.support.disk import MemoryDisk
from tests.support.slots import chunks_on, slot_of

FULL = bytes(range(256)) * 250


def described(store: IChunkStore, which: ChunkId) -> HeldChunk:
    held = store.describe([which])[0]
    assert held is not None
    return held


def page_ids(store: IChunkStore) -> list[ChunkId]:
    return [held.chunk_id for held in store.page(None, 1000)]


def test_it_keeps_the_contract(store: IChunkStore) -> None:
    assert verifyObject(IChunkStore, store)


class TestPutAndGet:
    def test_a_stored_chunk_is_read_as_it_was(self, store: IChunkStore) -> None:
        assert len(FULL) == 64_000
        assert store.put([a_chunk(body=FULL)]) == [PutOutcome.STORED]
        assert store.get([chunk_id("photo")]) == [ReadOutcome(FULL)]

    def test_an_empty_body_is_a_body(self, store: IChunkStore) -> None:
        """SPEC.md 3.22."""
        store.put([a_chunk(body=b"")])
        assert store.get([chunk_id("photo")]) == [ReadOutcome(b"")]

    def test_a_chunk_that_is_not_held_reads_as_nothing_and_not_as_damage(self, store: IChunkStore) -> None:
        assert store.get([chunk_id("photo")]) == [ReadOutcome(None, is_damaged=False)]

    def test_results_come_in_the_order_of_the_items(self, store: IChunkStore) -> None:
        chunks = [a_chunk(name, no, f"{name} {no}".encode()) for name in "cab" for no in (2, 0, 1)]
        assert store.put(chunks) == [PutOutcome.STORED] * 9
        asked = [chunk.chunk_id for chunk in chunks] + [chunk_id("unknown")]
        assert [outcome.body for outcome in store.get(asked)] == [chunk.body for chunk in chunks] + [None]

    def test_nothing_at_all_may_be_asked_for(self, store: IChunkStore) -> None:
        calls = (store.put, store.get, store.describe, store.delete, store.delete_files, store.note_holders)
        assert [call([]) for call in calls] == [[]] * 6
        store.confirm([])

    def test_what_was_put_is_certain(self, store: IChunkStore) -> None:
        store.put([a_chunk()])
        assert store.unconfirmed(None, 9) == []

    def test_what_is_known_of_a_chunk_is_what_it_was_stored_with(self, store: IChunkStore) -> None:
        store.put([a_chunk(body=b"abc", desired=3, holders=(7, 2**64 - 1))])
        held = described(store, chunk_id("photo"))
        assert held == HeldChunk(chunk_id("photo"), 3, 3, Digest.of(b"abc"), peers(7, 2**64 - 1))
        assert held.perceived == 2
        assert store.describe([chunk_id("other")]) == [None]


class TestLargeBatches:
    """More items than a store looks up at a time, some of them twice, and some that it doesn't have."""

    COUNT = 150

    def ids(self) -> list[ChunkId]:
        return [chunk_id("many", number) for number in range(self.COUNT)]

    def asked(self) -> list[ChunkId]:
        return [*reversed(self.ids()), chunk_id("another"), *self.ids()[:9]]

    @pytest.fixture(autouse=True)
    def filled(self, store: IChunkStore) -> None:
        outcomes = store.put(
            [a_chunk("many", which.chunk_no, b"%d" % which.chunk_no) for which in self.ids()]
        )
        assert outcomes == [PutOutcome.STORED] * self.COUNT

    def test_each_is_held_the_second_time(self, store: IChunkStore) -> None:
        again = [a_chunk("many", which.chunk_no, b"%d" % which.chunk_no) for which in self.ids()]
        assert store.put(again) == [PutOutcome.HELD] * self.COUNT

    def test_each_is_described_in_its_place(self, store: IChunkStore) -> None:
        described = store.describe(self.asked())
        assert [held and held.chunk_id for held in described] == [
            which if which in self.ids() else None for which in self.asked()
        ]

    def test_each_is_deleted_once(self, store: IChunkStore) -> None:
        assert store.delete(self.asked()) == [True] * self.COUNT + [False] * 10
        assert store.usage().chunks == 0

    def test_each_has_its_holder_counted_once(self, store: IChunkStore) -> None:
        changes = store.note_holders([HolderNote(which, PeerId(9), holds=True) for which in self.asked()])
        assert [change and change.was_news for change in changes] == [
            *[True] * self.COUNT,
            None,
            *[False] * 9,
        ]
        assert {held.perceived for held in store.page(None, 1_000)} == {2}


class TestAChunkThatIsHeld:
    def test_it_is_held_and_not_stored_again(self, store: IChunkStore) -> None:
        store.put([a_chunk()])
        assert store.put([a_chunk()]) == [PutOutcome.HELD]
        assert store.usage().chunks == 1

    def test_another_body_for_it_is_a_conflict_and_changes_nothing(self, store: IChunkStore) -> None:
        """SPEC.md 3.17."""
        store.put([a_chunk(body=b"one", desired=1, holders=(1,))])
        assert store.put([a_chunk(body=b"two", desired=9, holders=(2,))]) == [PutOutcome.CONFLICT]
        assert store.get([chunk_id("photo")]) == [ReadOutcome(b"one")]
        assert described(store, chunk_id("photo")).desired == 1
        assert described(store, chunk_id("photo")).holders == peers(1)

    def test_its_desired_degree_rises_and_never_falls(self, store: IChunkStore) -> None:
        """SPEC.md 3.21."""
        for asked, kept in ((2, 2), (4, 4), (1, 4)):
            store.put([a_chunk(desired=asked)])
            assert described(store, chunk_id("photo")).desired == kept

    def test_new_holders_are_added_to_those_known(self, store: IChunkStore) -> None:
        store.put([a_chunk(holders=(1, 2))])
        store.put([a_chunk(holders=(2, 3))])
        assert described(store, chunk_id("photo")).holders == peers(1, 2, 3)

    def test_within_a_batch_it_is_stored_once(self, store: IChunkStore) -> None:
        batch = [
            a_chunk(body=b"one", desired=1, holders=(1,)),
            a_chunk("other"),
            a_chunk(body=b"two"),
            a_chunk(body=b"one", desired=3, holders=(2,)),
        ]
        assert store.put(batch) == [
            PutOutcome.STORED,
            PutOutcome.STORED,
            PutOutcome.CONFLICT,
            PutOutcome.HELD,
        ]
        held = described(store, chunk_id("photo"))
        assert (held.desired, held.holders) == (3, peers(1, 2))
        assert store.usage().chunks == 2


class TestCapacity:
    def test_640_kbyte_hold_ten_full_chunks_and_not_eleven(self, store: IChunkStore) -> None:
        """SPEC.md 7.15, 7.16: not exceeded within a batch either."""
        store.set_capacity(640_000)
        outcomes = store.put([a_chunk(chunk_no=no, body=FULL) for no in range(11)])
        assert outcomes == [PutOutcome.STORED] * 10 + [PutOutcome.NO_ROOM]
        assert store.usage().used_bytes == store.usage().capacity_bytes == 640_000
        assert store.get([chunk_id("photo", 10)]) == [ReadOutcome(None)]

    def test_an_empty_chunk_is_not_free(self, store: IChunkStore) -> None:
        """SPEC.md 7.15."""
        store.set_capacity(4_000)
        assert store.put([a_chunk("a", body=b""), a_chunk("b", body=b"")]) == [
            PutOutcome.STORED,
            PutOutcome.NO_ROOM,
        ]

    def test_a_capacity_of_0_stores_nothing(self, store: IChunkStore) -> None:
        """SPEC.md 7.16."""
        store.set_capacity(0)
        assert store.put([a_chunk(body=b"")]) == [PutOutcome.NO_ROOM]

    def test_a_smaller_chunk_may_fit_where_a_larger_one_did_not(self, store: IChunkStore) -> None:
        store.set_capacity(8_000)
        batch = [a_chunk("a", body=b"a" * 8_001), a_chunk("b", body=b"b" * 4_001), a_chunk("c")]
        assert store.put(batch) == [PutOutcome.NO_ROOM, PutOutcome.STORED, PutOutcome.NO_ROOM]

    def test_a_lowered_capacity_drops_nothing_and_takes_nothing(self, store: IChunkStore) -> None:
        store.put([a_chunk("a"), a_chunk("b")])
        store.set_capacity(4_000)
        assert store.put([a_chunk("c"), a_chunk("a")]) == [PutOutcome.NO_ROOM, PutOutcome.HELD]
        assert store.usage().used_bytes == 8_000

    def test_what_is_deleted_makes_room(self, store: IChunkStore) -> None:
        store.set_capacity(4_000)
        store.put([a_chunk("a")])
        store.delete([chunk_id("a")])
        assert store.usage().used_bytes == 0
        assert store.put([a_chunk("b")]) == [PutOutcome.STORED]

    def test_a_negative_capacity_makes_no_sense(self, store: IChunkStore) -> None:
        with pytest.raises(ValueError, match="-1"):
            store.set_capacity(-1)
        assert store.usage().capacity_bytes == CAPACITY


class TestDeletion:
    def test_a_deleted_chunk_is_gone(self, store: IChunkStore) -> None:
        store.put([a_chunk("a"), a_chunk("b")])
        assert store.delete([chunk_id("a"), chunk_id("a"), chunk_id("c")]) == [True, False, False]
        assert store.get([chunk_id("a")]) == [ReadOutcome(None)]
        assert page_ids(store) == [chunk_id("b")]

    def test_a_deleted_chunk_may_come_again_with_another_body(self, store: IChunkStore) -> None:
        store.put([a_chunk(body=b"one")])
        store.delete([chunk_id("photo")])
        assert store.put([a_chunk(body=b"two")]) == [PutOutcome.STORED]
        assert store.get([chunk_id("photo")]) == [ReadOutcome(b"two")]

    def test_every_chunk_of_a_file_is_deleted_and_no_other(self, store: IChunkStore) -> None:
        """SPEC.md 5.1."""
        store.put([a_chunk("a", no) for no in (0, 3, 999_999)] + [a_chunk("b", 3)])
        assert store.delete_files([file_id("a"), file_id("c"), file_id("a")]) == [True, True, True]
        assert page_ids(store) == [chunk_id("b", 3)]
        assert store.usage().used_bytes == 4_000


class TestHolders:
    def test_a_peer_counts_once_however_often_it_says_so(self, store: IChunkStore) -> None:
        """SPEC.md 1: distinct peers."""
        store.put([a_chunk(desired=2, holders=(1,))])
        note = HolderNote(chunk_id("photo"), PeerId(2), holds=True)
        assert store.note_holders([note, note]) == [
            HolderChange(chunk_id("photo"), was_news=True, perceived=2, desired=2),
            HolderChange(chunk_id("photo"), was_news=False, perceived=2, desired=2),
        ]
        assert store.note_holders([note]) == [HolderChange(chunk_id("photo"), False, 2, 2)]

    def test_a_peer_that_dropped_its_copy_does_not_count(self, store: IChunkStore) -> None:
        store.put([a_chunk(holders=(1, 2))])
        gone = HolderNote(chunk_id("photo"), PeerId(2), holds=False)
        changes = store.note_holders([gone, gone])
        assert [change and (change.was_news, change.perceived) for change in changes] == [
            (True, 1),
            (False, 1),
        ]
        assert described(store, chunk_id("photo")).holders == peers(1)

    def test_notes_about_a_chunk_that_is_not_held_are_not_kept(self, store: IChunkStore) -> None:
        note = HolderNote(chunk_id("photo"), PeerId(2), holds=True)
        assert store.note_holders([note]) == [None]
        store.put([a_chunk(holders=(1,))])
        assert described(store, chunk_id("photo")).holders == peers(1)


class TestPages:
    def test_pages_follow_the_order_of_the_ids_and_leave_nothing_out(self, store: IChunkStore) -> None:
        chunks = [a_chunk(name, no) for name in "cadb" for no in (2, 10, 0)]
        store.put(chunks)
        pages, after = [], None
        while page := store.page(after, 5):
            pages.append(page)
            after = page[-1].chunk_id
        assert [len(page) for page in pages] == [5, 5, 2]
        assert [held.chunk_id for page in pages for held in page] == sorted(c.chunk_id for c in chunks)

    def test_a_page_may_begin_after_a_chunk_that_is_gone(self, store: IChunkStore) -> None:
        store.put([a_chunk(chunk_no=no) for no in range(4)])
        store.delete([chunk_id("photo", 1)])
        assert [h.chunk_id.chunk_no for h in store.page(chunk_id("photo", 1), 9)] == [2, 3]

    def test_only_those_above_their_degree_are_over_replicated(self, store: IChunkStore) -> None:
        """SPEC.md 6: what a full peer may evict."""
        store.put(
            [
                a_chunk("photo", no, desired=2, holders=range(perceived))
                for no, perceived in enumerate((1, 2, 3, 4, 3))
            ]
        )
        assert [h.chunk_id.chunk_no for h in store.over_replicated(None, 9)] == [2, 3, 4]
        assert [h.chunk_id.chunk_no for h in store.over_replicated(chunk_id("photo", 2), 1)] == [3]

    def test_a_chunk_is_over_replicated_for_as_long_as_that_is_so(self, store: IChunkStore) -> None:
        store.put([a_chunk(desired=1, holders=(1,))])
        store.note_holders([HolderNote(chunk_id("photo"), PeerId(2), holds=True)])
        assert len(store.over_replicated(None, 9)) == 1
        store.put([a_chunk(desired=2)])
        assert store.over_replicated(None, 9) == []


def damage(store: IChunkStore, which: ChunkId) -> None:
    """Spoil the last byte of a body, as a disk may."""
    if isinstance(store, MemoryChunkStore):
        store.damage(which)
        return
    assert isinstance(store, SlotChunkStore)
    slot = slot_of(store._disk, store._layout.root, which)
    file = store._disk.open(slot.path)
    file.write_at(slot.offset + slot.length - 1, b"\xee")
    file.close()


class TestADamagedCopy:
    """SPEC.md 9.31, 3.16, 3.17: what is held is compared before it is vouched for."""

    def test_it_is_replaced_by_the_body_that_comes(self, store: IChunkStore) -> None:
        store.put([a_chunk("a", body=FULL), a_chunk("b")])
        before = described(store, chunk_id("a"))
        for _ in range(2):
            damage(store, chunk_id("a"))
            assert store.get([chunk_id("a")]) == [ReadOutcome(None, is_damaged=True)]
            used = store.usage().used_bytes
            assert store.put([a_chunk("a", body=FULL)]) == [PutOutcome.MENDED]
            assert store.usage().used_bytes == used
            assert store.get([chunk_id("a"), chunk_id("b")]) == [ReadOutcome(FULL), ReadOutcome(b"the body")]
            assert described(store, chunk_id("a")) == before
            assert store.put([a_chunk("a", body=FULL)]) == [PutOutcome.HELD]

    def test_another_body_does_not_replace_it(self, store: IChunkStore) -> None:
        store.put([a_chunk()])
        damage(store, chunk_id("photo"))
        for body in (b"another one", b"the bodY", b"the bod", b""):
            assert store.put([a_chunk(body=body)]) == [PutOutcome.CONFLICT]
        assert store.get([chunk_id("photo")]) == [ReadOutcome(None, is_damaged=True)]

    def test_what_came_with_the_body_is_taken_over(self, store: IChunkStore) -> None:
        store.put([a_chunk(desired=4, holders=(1, 2))])
        damage(store, chunk_id("photo"))
        store.put([a_chunk(desired=1, holders=(3,))])
        held = described(store, chunk_id("photo"))
        assert (held.desired, held.holders) == (4, peers(1, 2, 3))

    def test_it_needs_no_capacity(self, store: IChunkStore) -> None:
        store.put([a_chunk("a"), a_chunk("b")])
        for capacity in (8_000, 0):
            store.set_capacity(capacity)
            damage(store, chunk_id("a"))
            assert store.put([a_chunk("c"), a_chunk("a")]) == [PutOutcome.NO_ROOM, PutOutcome.MENDED]
            assert store.usage().used_bytes == 8_000

    def test_repeats_within_a_batch(self, store: IChunkStore) -> None:
        store.put([a_chunk()])
        damage(store, chunk_id("photo"))
        batch = [a_chunk(body=b"other"), a_chunk(), a_chunk(), a_chunk(body=b"other")]
        assert store.put(batch) == [
            PutOutcome.CONFLICT,
            PutOutcome.MENDED,
            PutOutcome.HELD,
            PutOutcome.CONFLICT,
        ]


CHUNKS = st.builds(
    lambda name, no, body, desired, holders: a_chunk(name, no, body, desired=desired, holders=holders),
    st.sampled_from("ab"),
    st.integers(0, 2),
    st.sampled_from([b"", b"one", b"x" * 4_001]),
    st.integers(1, 3),
    st.sets(st.integers(1, 4), max_size=4),
)
IDS = st.builds(chunk_id, st.sampled_from("ab"), st.integers(0, 2))
NOTES = st.builds(HolderNote, IDS, st.builds(PeerId, st.integers(1, 4)), st.booleans())
STEPS = st.one_of(
    st.tuples(st.just("put"), st.lists(CHUNKS, max_size=5)),
    st.tuples(st.just("delete"), st.lists(IDS, max_size=3)),
    st.tuples(st.just("delete_files"), st.lists(st.builds(file_id, st.sampled_from("ab")), max_size=2)),
    st.tuples(st.just("damage"), IDS),
    st.tuples(st.just("note_holders"), st.lists(NOTES, max_size=5)),
    st.tuples(st.just("set_capacity"), st.sampled_from([0, 8_000, 20_000, CAPACITY])),
)


@settings(deadline=None)
@given(steps=st.lists(STEPS, max_size=12))
def test_whatever_is_done_the_store_of_slots_says_and_keeps_what_the_one_in_memory_does(
    steps: list[tuple[str, Any]],
) -> None:
    # No fixture here: pytest-twisted runs a test of hypothesis with fixtures in the wrong greenlet.
    disk = MemoryDisk()
    store = open_slot_store(disk, "/store")
    store.set_capacity(CAPACITY)
    model = MemoryChunkStore(capacity_bytes=CAPACITY)
    for call, argument in steps:
        if call == "damage":
            [held] = model.describe([argument])
            for one in (store, model) if held is not None and held.length else ():
                damage(one, argument)
        else:
            assert getattr(store, call)(argument) == getattr(model, call)(argument)
        assert store.page(None, 99) == model.page(None, 99)
        assert store.over_replicated(None, 99) == model.over_replicated(None, 99)
        ids = [held.chunk_id for held in model.page(None, 99)]
        assert store.get(ids) == model.get(ids)
        assert store.describe(ids) == model.describe(ids)
        usage, expected = store.usage(), model.usage()
        assert (usage.capacity_bytes, usage.used_bytes, usage.chunks) == (
            expected.capacity_bytes,
            expected.used_bytes,
            expected.chunks,
        )
    store.close()
    assert chunks_on(disk, "/store") == sorted(held.chunk_id for held in model.page(None, 99))


class TestScrub:
    """SPEC.md 9.29, 9.30."""

    def test_it_reads_all_in_the_order_of_their_ids(self, store: IChunkStore) -> None:
        store.put([a_chunk("a", no) for no in range(3)] + [a_chunk("b", no) for no in range(2)])
        everything = page_ids(store)
        assert store.scrub(None, 2) == ScrubBatch(2, (), everything[1])
        assert store.scrub(everything[1], 2) == ScrubBatch(2, (), everything[3])
        assert store.scrub(everything[3], 2) == ScrubBatch(1, (), None)
        assert store.scrub(None, 5) == ScrubBatch(5, (), None)
        assert store.scrub(everything[4], 5) == ScrubBatch(0, (), None)

    def test_a_store_without_chunks(self, store: IChunkStore) -> None:
        assert store.scrub(None, 9) == ScrubBatch(0, (), None)

    def test_one_that_is_gone_is_no_damage(self, store: IChunkStore) -> None:
        store.put([a_chunk("a", no) for no in range(3)])
        store.delete([chunk_id("a", 1)])
        assert store.scrub(chunk_id("a", 0), 9) == ScrubBatch(1, (), None)

    def test_how_far_it_has_come_is_kept(self, store: IChunkStore) -> None:
        assert store.scrub_mark() is None
        for mark in (ScrubMark(1.5, 3, 4, chunk_id("a", 3)), ScrubMark(2.5)):
            store.keep_scrub_mark(mark)
            assert store.scrub_mark() == mark
