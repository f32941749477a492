"""Disk is given back without losing what others rely on (SPEC.md 6)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.group import Group, eventually, let_pass, local_group, made_file

pytestmark = [pytest.mark.functional, pytest.mark.slow]


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with local_group(tmp_path / "group", 3, "--capacity=1000000") as group:
        yield group


def test_the_only_holder_gives_all_back_and_the_file_restores(group: Group, tmp_path: Path) -> None:
    group[2].do("RECLAIM", "0")
    file = made_file(tmp_path, 1_000_000)
    assert group[0].do("BACKUP", str(file), "1")["perceived_min"] == 1
    assert group[2].stored == []
    group[2].do("RECLAIM", "1000000")
    report = group[1].do("RECLAIM", "0")
    assert (report["capacity_kbytes"], report["used_kbytes"]) == (0, 0)
    assert (report["removed_chunks"], report["unplaced_chunks"]) == (16, 0)
    assert group[1].stored == []
    assert group[0].restored(file) == file.read_bytes()


def test_two_holders_give_all_back_at_the_same_moment_and_the_file_restores(
    group: Group, tmp_path: Path
) -> None:
    file = made_file(tmp_path, 1_000_000)
    group[0].do("BACKUP", str(file), "1")
    assert len(group[1].stored) == len(group[2].stored) == 16
    both = [peer.asking("RECLAIM", "0") for peer in group.others]
    for ending in [each.end(110) for each in both]:
        assert ending.status == 0, ending
    assert group[0].restored(file) == file.read_bytes()


def test_a_capacity_outlives_a_restart_and_is_kept_to(group: Group, tmp_path: Path) -> None:
    """What was reclaimed survives a restart unless the option says otherwise (SPEC.md 7)."""
    group[1].do("RECLAIM", "640")
    group[2].do("RECLAIM", "0")
    file = made_file(tmp_path, 2_000_000)
    assert "No peer took 22 of the 32 chunks" in group[0].ask("BACKUP", str(file), "1", timeout=100).err
    state = group[1].do("STATE")
    assert (state["capacity_kbytes"], state["used_kbytes"]) == (640, 640)
    assert len(state["chunks"]) == 10
    group[1].kill()
    group[1].restart()
    after = group[1].do("STATE")
    assert (after["capacity_kbytes"], after["used_kbytes"]) == (640, 640)


def test_a_path_that_was_deleted_and_at_once_backed_up_again_restores_ten_seconds_later(
    group: Group, tmp_path: Path
) -> None:
    file = made_file(tmp_path, 1_000_000)
    old = group[0].do("BACKUP", str(file), "2")["file_id"]
    group[0].do("DELETE", str(file))
    new = group[0].do("BACKUP", str(file), "2")["file_id"]
    assert new != old
    let_pass(10.0)
    assert group[0].restored(file) == file.read_bytes()
    for peer in group.others:
        eventually(lambda peer=peer: {c["file_id"] for c in peer.stored} == {new}, "the old copies are gone")  # type: ignore[misc]
