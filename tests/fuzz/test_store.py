"""A store whose files are damaged anyhow, and that the target sees a store that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import slot_reader
from storage.interfaces import ReadOutcome
from storage.slot import HEADER_BYTES
from storage.slot_store import SlotChunkStore
from tests.fuzz import store
from tests.storage.examples import chunk_id

changes = st.builds(
    lambda file, kind, offset, length, data: bytes(
        [file, kind, *offset.to_bytes(3, "big"), length, len(data), *data]
    ),
    st.integers(0, 7),
    st.integers(0, 15),
    st.integers(0, 300_000),
    st.integers(0, 255),
    st.binary(max_size=20),
)


def test_every_seed_passes() -> None:
    """SPEC.md 9.3, 9.5, 9.26, 9.28: each kind of damage to each file."""
    for seed in store.seeds():
        store.one_input(seed)


@given(is_open=st.integers(0, 1), done=st.lists(changes, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_damage_never_gives_wrong_bytes(is_open: int, done: list[bytes]) -> None:
    """SPEC.md 9.3, 9.5, 9.26, 9.28."""
    store.one_input(bytes([is_open]) + b"".join(done))


def test_what_must_be_there_is_what_lies_in_whole_slots() -> None:
    flipped = store.Change(file=1, kind=1, offset=2 * 65_536 + 7, length=1, data=b"")
    damage = store.Damage(is_closed=True, changes=(flipped,))
    before, after = damage.apply()
    assert sorted(name for name in before if before[name] != after[name]) == [store.SEGMENT]
    missing = set(store.BODIES) - store.must_be_there(before, after)
    assert len(missing) == 1
    assert store.must_be_there(before, before) == set(store.BODIES)


def test_wrong_bytes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def body_unchecked(slot: bytes, _digest: object, length: int) -> bytes:
        return slot[HEADER_BYTES : HEADER_BYTES + length]

    monkeypatch.setattr(slot_reader, "body_of", body_unchecked)
    place = store.store_files(is_closed=True)[store.SEGMENT].index(store.BODIES[chunk_id("small")])
    damage = bytes([0, 1, 1, *place.to_bytes(3, "big"), 1, 0])
    with pytest.raises(AssertionError, match="wrong bytes"):
        store.one_input(damage)


def test_a_chunk_that_is_not_served_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlotChunkStore, "get", lambda self, asked: [ReadOutcome(None) for _ in asked])
    with pytest.raises(AssertionError, match="lost, and not damaged"):
        store.one_input(b"\0")
