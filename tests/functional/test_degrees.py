"""Degrees that are raised, and degrees that there are too few peers for (SPEC.md 3)."""

from pathlib import Path

import pytest

from tests.functional.group import local_group, made_file

pytestmark = pytest.mark.functional

FIVE_TRIES = 1 + 2 + 4 + 8 + 16


def test_a_higher_degree_is_asked_for_and_reached(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 4) as group:
        for peer in group[2], group[3]:
            peer.do("RECLAIM", "0")
        file = made_file(tmp_path, 1_000_000)
        first = group[0].do("BACKUP", str(file), "1")
        assert first["perceived_min"] == 1
        for peer in group[2], group[3]:
            peer.do("RECLAIM", "100000")
            assert peer.stored == []
        second = group[0].do("BACKUP", str(file), "3")
        assert (second["file_id"], second["perceived_min"]) == (first["file_id"], 3)
        assert all(len(peer.stored) == 16 for peer in group.others)
        group[1].kill()
        group[2].kill()
        assert group[0].restored(file) == file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1_000_000, 100_000_000])
def test_too_few_peers_cost_the_five_tries_once_not_once_for_each_window(tmp_path: Path, size: int) -> None:
    with local_group(tmp_path / "group", 3, "--capacity=1000000") as group:
        # What sending takes on this machine today, by a degree that there are peers enough for.
        sending = group[0].do("BACKUP", str(made_file(tmp_path, size, seed=2)), "2")["seconds"]
        file = made_file(tmp_path, size)
        ending = group[0].ask("BACKUP", str(file), "3", timeout=400)
        chunks = size // 64_000 + 1
        assert ending.status == 3
        assert f"{chunks:,} of {chunks:,} chunks" in ending.err
        assert ending.report["perceived_min"] == 2
        assert ending.report["below_degree"] == chunks
        assert FIVE_TRIES <= ending.report["seconds"] <= FIVE_TRIES + 5 + 4 * sending
        assert group[0].restored(file) == file.read_bytes()


@pytest.mark.slow
def test_without_any_other_peer_nothing_is_kept_and_that_is_said(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 1) as group:
        file = made_file(tmp_path, 100_000)
        ending = group[0].ask("BACKUP", str(file), "1")
        assert ending.status == 1
        assert "No peer took 2 of the 2 chunks" in ending.err
        assert group[0].ask("RESTORE", str(file)).status == 1
