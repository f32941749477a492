"""What a chunk is charged, and which capacity a starting peer has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.capacity import RESERVE_BYTES, charged_bytes, new_capacity, option_text, require_fits
from storage.errors import CapacityTooLarge

MB = 1_000_000


@pytest.mark.parametrize(
    ("length", "charge"),
    [(0, 4_000), (1, 4_000), (4_000, 4_000), (4_001, 8_000), (63_999, 64_000), (64_000, 64_000)],
)
def test_bodies_are_charged_in_steps_of_4000_bytes_and_at_least_one(length: int, charge: int) -> None:
    """SPEC.md 7.15."""
    assert charged_bytes(length) == charge


def capacity_at_start(
    option_mb: int | None, before: str | None, *, used_mb: int = 0, free_mb: int = 1_000
) -> int | None:
    capacity = new_capacity(
        option_bytes=None if option_mb is None else option_mb * MB,
        option_before=before,
        used_bytes=used_mb * MB,
        free_bytes=free_mb * MB,
    )
    return None if capacity is None else capacity // MB


class TestTheFirstStart:
    def test_without_an_option_a_fifth_of_the_free_disk_is_lent(self) -> None:
        """SPEC.md 7.17."""
        assert capacity_at_start(None, None) == 200

    @given(st.integers(0, 10**15))
    def test_that_fifth_is_a_whole_number_of_charges(self, free_bytes: int) -> None:
        """SPEC.md 7.17."""
        capacity = new_capacity(option_bytes=None, option_before=None, used_bytes=0, free_bytes=free_bytes)
        assert capacity is not None
        assert capacity % 4_000 == 0
        assert free_bytes / 5 - 4_001 <= capacity <= free_bytes / 5

    def test_an_option_is_obeyed(self) -> None:
        assert capacity_at_start(300, None) == 300
        assert capacity_at_start(0, None) == 0

    def test_more_than_the_disk_has_is_refused_with_what_it_has(self) -> None:
        """SPEC.md 7.19, 9.24: what stays free whatever the capacity is, is not there to be lent."""
        assert capacity_at_start(936, None) == 936
        with pytest.raises(CapacityTooLarge, match=r"937,000 KByte doesn't fit.* 936,000: choose a smaller"):
            capacity_at_start(937, None)

    def test_a_disk_with_less_than_what_stays_free_lends_nothing(self) -> None:
        """SPEC.md 7.19, 9.24."""
        assert capacity_at_start(0, None, free_mb=30) == 0
        with pytest.raises(CapacityTooLarge, match=r"has room for 0: choose"):
            capacity_at_start(1, None, free_mb=30)


class TestALaterStart:
    @pytest.mark.parametrize("option_mb", [None, 300])
    def test_the_same_option_changes_nothing_so_that_a_reclaim_stays(self, option_mb: int | None) -> None:
        """SPEC.md 7.18."""
        before = option_text(None if option_mb is None else option_mb * MB)
        assert capacity_at_start(option_mb, before) is None

    def test_another_option_overrides_a_reclaim(self) -> None:
        """SPEC.md 7.18."""
        assert capacity_at_start(400, option_text(300 * MB)) == 400
        assert capacity_at_start(400, option_text(None)) == 400
        assert capacity_at_start(None, option_text(300 * MB)) == 200

    def test_what_our_chunks_take_counts_as_room(self) -> None:
        """SPEC.md 7.19: they would be the first to fill the capacity."""
        assert capacity_at_start(900, option_text(None), used_mb=500, free_mb=464) == 900
        with pytest.raises(CapacityTooLarge):
            capacity_at_start(901, option_text(None), used_mb=500, free_mb=464)
        assert capacity_at_start(None, option_text(1), used_mb=500, free_mb=500) == 200

    def test_a_disk_that_others_have_filled_is_no_reason_not_to_start(self) -> None:
        assert capacity_at_start(900, option_text(900 * MB), free_mb=0) is None


def test_a_reclaim_can_be_checked_by_the_same_rule() -> None:
    """SPEC.md 7.19."""
    free_bytes = RESERVE_BYTES + 6
    require_fits(10, used_bytes=4, free_bytes=free_bytes)
    with pytest.raises(CapacityTooLarge):
        require_fits(11, used_bytes=4, free_bytes=free_bytes)
