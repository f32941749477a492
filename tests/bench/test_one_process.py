"""The peers in one process do the whole work: what is measured is a backup and a restore of the very bytes."""

from pathlib import Path

from protocol.values import CHUNK_SIZE
from tests.bench.one_process import chunk_cost


def test_the_file_comes_back_and_both_ways_cost_something(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"chunk" * (3 * CHUNK_SIZE // 5 - 1))
    cost = chunk_cost(source, 3, tmp_path / "stores")
    assert cost.backup > 0
    assert cost.restore > 0
    assert sorted(path.name for path in (tmp_path / "stores").iterdir()) == ["1", "2", "3"]
