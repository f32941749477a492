"""What a peer has acknowledged outlives kill -9, on either side (SPEC.md 6)."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.group import Group, eventually, is_alive, local_group, made_file
from tests.functional.test_files import SIZES

pytestmark = pytest.mark.functional


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with local_group(tmp_path / "group", 4, "--capacity=1000000") as group:
        yield group


def test_files_come_back_after_each_peer_was_killed_and_restarted(group: Group, tmp_path: Path) -> None:
    files = {
        made_file(tmp_path, size, seed=degree): degree for size in SIZES.values() for degree in (1, 2, 3)
    }
    ids = {file: group[0].do("BACKUP", str(file), str(degree))["file_id"] for file, degree in files.items()}
    before = group[0].do("STATE")
    for peer in group.peers:
        peer.kill()
        peer.restart()
    assert group[0].do("STATE")["peer"] == before["peer"]
    told = {each["path"]: each for each in group[0].do("STATE")["files"]}
    for file, degree in files.items():
        assert group[0].restored(file) == file.read_bytes()
        assert told[str(file)]["file_id"] == ids[file]
        assert all(chunk["perceived"] >= degree for chunk in told[str(file)]["chunks"])
        again = group[0].do("BACKUP", str(file), str(degree))
        assert again["file_id"] == ids[file]


def test_a_file_comes_back_while_a_holder_is_down(group: Group, tmp_path: Path) -> None:
    file = made_file(tmp_path, 3_000_000)
    group[0].do("BACKUP", str(file), "2")
    group[1].kill()
    assert group[0].restored(file) == file.read_bytes()


def test_a_backup_that_the_home_peer_s_end_cut_off_goes_on_by_itself(group: Group, tmp_path: Path) -> None:
    file = made_file(tmp_path, 30_000_000)
    # One more copy than there are peers for: however fast they are, it is under way for 31 s.
    backup = group[0].asking("BACKUP", str(file), "4")
    eventually(lambda: len(group[1].stored) > 20, "the backup is under way")
    group[0].kill()
    cut_off = backup.end()
    assert (cut_off.status, cut_off.out) == (1, "")
    assert cut_off.err.count("\n") == 1
    group[0].restart()

    def is_complete() -> bool:
        files = group[0].do("STATE")["files"]
        chunks = files[0]["chunks"] if files else []
        return len(chunks) == 469 and all(chunk["perceived"] >= 3 for chunk in chunks)

    eventually(is_complete, "every peer has every chunk", 60.0)
    eventually(lambda: group[0].ask("RESTORE", str(file)).status == 0, "the resumed backup has ended", 120.0)
    assert group[0].restored(file) == file.read_bytes()


def test_a_peer_that_is_asked_to_stop_stops_and_its_client_is_told(group: Group, tmp_path: Path) -> None:
    file = made_file(tmp_path, 1_000)
    too_many = group[0].asking("BACKUP", str(file), "9")
    eventually(lambda: len(group[1].stored) == 1, "the backup is under way")
    os.kill(group[0].process_id, signal.SIGTERM)
    ending = too_many.end(20)
    assert (ending.status, ending.out) == (1, "")
    assert ending.err.count("\n") == 1
    eventually(lambda: not is_alive(group[0].process_id), "the peer has stopped")
