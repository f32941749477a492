"""A file with holes says and takes what one of the operating system's does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.sparse import BLOCK, SparseBytes

OFFSETS = st.integers(0, 5 * BLOCK) | st.integers(0, 5).map(lambda blocks: blocks * BLOCK)
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "punch", "truncate", "read"]), OFFSETS, st.integers(0, 2 * BLOCK + 3))
)


@given(STEPS)
def test_it_holds_what_a_plain_array_of_bytes_would(steps: list[tuple[str, int, int]]) -> None:
    sparse, plain = SparseBytes(), bytearray()
    for step, offset, length in steps:
        if step == "write":
            data = bytes([7]) * length
            assert sparse.missing_bytes(offset, length) % BLOCK == 0
            sparse.write(offset, data)
            if data:
                plain.extend(bytes(max(0, offset + length - len(plain))))
                plain[offset : offset + length] = data
        elif step == "punch":
            sparse.punch(offset, length)
            end = min(offset + length, len(plain))
            plain[offset:end] = bytes(max(0, end - offset))
        elif step == "truncate":
            sparse.truncate(offset)
            del plain[offset:]
            plain.extend(bytes(offset - len(plain)))
        assert sparse.read(offset, length) == plain[offset : offset + length]
    assert sparse.size == len(plain)
    assert sparse.read(0, len(plain)) == plain
    place, kept = 0, bytearray(len(plain))
    while (part := sparse.next_data(place)) is not None:
        first, place = part
        kept[first:place] = plain[first:place]
    assert kept == plain
