"""What a run leaves behind: nothing; and what it copies is compared."""

from pathlib import Path

import pytest

from tests.bench.alternatives.uftp import kbits
from tests.bench.copies import check_copy, files_of, size_of
from tests.bench.failure import BenchFailure
from tests.bench.workplace import workplace


def test_everything_is_gone_afterwards_also_after_a_failure(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with workplace(tmp_path) as place:
            place.made_file(1_000)
            with place.room("peers") as folder:
                (folder / "chunk").write_bytes(b"body")
                raise BenchFailure("a peer has ended")

    with pytest.raises(BenchFailure):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_a_room_is_empty_again_for_the_next_measurement(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        for _ in range(2):
            with place.room("peers") as folder:
                assert list(folder.iterdir()) == []
                (folder / "chunk").write_bytes(b"body")


def test_a_file_is_the_same_whenever_it_is_made_and_no_other_file(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        first = place.made_file(1_500_000).read_bytes()
    with workplace(tmp_path) as place:
        again = place.made_file(1_500_000).read_bytes()
        other = place.made_file(1_500_000, seed=2).read_bytes()
    assert first == again != other
    assert len(first) == 1_500_000


def test_more_than_the_disk_has_room_for_is_refused(tmp_path: Path) -> None:
    with workplace(tmp_path) as place, pytest.raises(BenchFailure, match="GB free"):
        place.check_space(10**18)


class TestCopies:
    def test_a_copy_of_a_file_has_its_bytes(self, tmp_path: Path) -> None:
        file, copy = tmp_path / "file", tmp_path / "copy"
        file.write_bytes(b"abc")
        for content in (b"abd", b"ab"):
            copy.write_bytes(content)
            with pytest.raises(BenchFailure, match="is no copy"):
                check_copy(file, copy)
        copy.write_bytes(b"abc")
        check_copy(file, copy)

    def test_a_copy_of_a_folder_has_every_file(self, tmp_path: Path) -> None:
        with workplace(tmp_path) as place:
            folder = place.made_files(3, 100)
            assert (len(files_of(folder)), size_of(folder)) == (3, 300)
            copy = tmp_path / "copy"
            copy.mkdir()
            for file in files_of(folder)[1:]:
                (copy / file.name).write_bytes(file.read_bytes())
            with pytest.raises(BenchFailure, match="is no copy"):
                check_copy(folder, copy)


@pytest.mark.parametrize(("rate", "expected"), [("1gbit", 1_000_000), ("100mbit", 100_000), ("64kbit", 64)])
def test_a_rate_of_tc_in_kbits(rate: str, expected: int) -> None:
    assert kbits(rate) == expected
