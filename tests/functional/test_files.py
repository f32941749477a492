"""Real files go round a group of real peers and come back as they were (SPEC.md 3 to 5)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.group import Group, eventually, local_group, made_file

pytestmark = pytest.mark.functional

SIZES = {"10 MB": 10_000_000, "a multiple of a chunk": 640_000, "empty": 0, "one byte": 1}


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    with local_group(tmp_path_factory.mktemp("files"), 4, "--capacity=1000000") as group:
        yield group


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("kind", SIZES)
def test_a_file_of_any_size_comes_back_from_any_degree(
    group: Group, tmp_path: Path, kind: str, degree: int
) -> None:
    file = made_file(tmp_path, SIZES[kind], seed=degree)
    report = group[0].do("BACKUP", str(file), str(degree))
    assert report["bytes"] == SIZES[kind]
    assert report["chunks"] == SIZES[kind] // 64_000 + 1
    assert report["perceived_min"] >= degree
    assert group[0].restored(file) == file.read_bytes()


def test_the_state_says_what_was_backed_up_and_what_is_stored(group: Group, tmp_path: Path) -> None:
    file = made_file(tmp_path, 130_000)
    file_id = group[0].do("BACKUP", str(file), "2")["file_id"]
    [told] = [each for each in group[0].do("STATE")["files"] if each["file_id"] == file_id]
    assert (told["path"], told["desired"]) == (str(file), 2)
    assert [chunk["no"] for chunk in told["chunks"]] == [0, 1, 2]
    assert all(chunk["perceived"] >= 2 for chunk in told["chunks"])
    held = [chunk for chunk in group[1].stored if chunk["file_id"] == file_id]
    assert {(chunk["no"], chunk["kbytes"], chunk["desired"]) for chunk in held} <= {
        (0, 64, 2),
        (1, 64, 2),
        (2, 2, 2),
    }
    assert held


def test_an_unchanged_file_is_backed_up_again_at_no_cost_and_under_the_same_id(
    group: Group, tmp_path: Path
) -> None:
    file = made_file(tmp_path, 2_000_000)
    first = group[0].do("BACKUP", str(file), "2")
    again = group[0].do("BACKUP", str(file), "2")
    assert again["file_id"] == first["file_id"]
    assert again["seconds"] < 1.0


def test_a_restore_never_writes_over_a_file(group: Group, tmp_path: Path) -> None:
    file = made_file(tmp_path, 1_000, name="photo.jpg")
    group[0].do("BACKUP", str(file), "1")
    paths = [Path(group[0].do("RESTORE", str(file))["path"]) for _ in range(3)]
    assert [path.name for path in paths] == ["photo.jpg", "photo (1).jpg", "photo (2).jpg"]
    assert paths[0].parent == group[0].folder / "store" / "restored"
    assert {path.read_bytes() for path in paths} == {file.read_bytes()}


def test_a_changed_file_replaces_the_old_one(group: Group, tmp_path: Path) -> None:
    file = made_file(tmp_path, 1_000_000, name="diary.txt")
    old = group[0].do("BACKUP", str(file), "2")["file_id"]
    file.write_bytes(b"all new " * 100_000)
    new = group[0].do("BACKUP", str(file), "2")["file_id"]
    assert new != old
    assert group[0].restored(file) == file.read_bytes()
    for peer in group.others:
        eventually(
            lambda peer=peer: old not in {chunk["file_id"] for chunk in peer.stored},  # type: ignore[misc]
            "the old version is gone from every holder",
        )
    assert [each["file_id"] for each in group[0].do("STATE")["files"] if each["path"] == str(file)] == [new]


def test_a_name_that_is_no_utf_8_is_backed_up_and_restored(group: Group, tmp_path: Path) -> None:
    file = made_file(tmp_path, 100, name="caf\udce9.txt")
    group[0].do("BACKUP", str(file), "1")
    assert group[0].restored(file) == file.read_bytes()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (["BACKUP", "/no/such/file", "1"], "/no/such/file"),
        (["BACKUP", "/", "1"], "'/'"),
        (["BACKUP", "/dev/null", "1"], "/dev/null"),
        (["RESTORE", "/never/backed/up"], "never backed up"),
        (["DELETE", "/never/backed/up"], "never backed up"),
        (["RECLAIM", "900000000000000"], "disk"),
        (["BACKUPENH", "/etc/hostname", "1"], "1.0"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    group: Group, request_: list[str], said: str
) -> None:
    before = group[0].do("STATE")
    ending = group[0].ask(*request_)
    assert (ending.status, ending.out) == (1, "")
    assert said in ending.err
    assert ending.err.count("\n") == 1
    assert group[0].do("STATE") == before


def test_delete_gives_every_holder_its_disk_back(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 3) as group:
        file = made_file(tmp_path, 5_000_000)
        group[0].do("BACKUP", str(file), "2")
        full = {peer.peer_id: peer.bytes_on_disk for peer in group.others}
        group[0].do("DELETE", str(file))
        for peer in group.others:
            eventually(lambda peer=peer: peer.do("STATE")["used_kbytes"] == 0, "nothing is stored")  # type: ignore[misc]
            assert peer.stored == []
            assert full[peer.peer_id] - peer.bytes_on_disk > 4_500_000
        assert group[0].do("STATE")["files"] == []
        assert group[0].ask("RESTORE", str(file)).status == 1
