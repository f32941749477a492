"""What cannot be done is refused in one sentence, and changes nothing (SPEC.md 1.7, 7.5, 7.19, 7.21)."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from peer.errors import ErrorCode, OperationError
from tests.support.group import PLENTY, Group, Member

CONTENT = b"twenty bytes of file"


def missing(_member: Member) -> str:
    return "/home/nothing"


def below_a_file(member: Member) -> str:
    member.write("/home/file", CONTENT)
    return "/home/file/name"


def folder(member: Member) -> str:
    member.disk.make_directory("/home/folder")
    return "/home/folder"


def device(member: Member) -> str:
    member.disk.make_device("/home/device")
    return "/home/device"


def unreadable(member: Member) -> str:
    member.write("/home/secret", CONTENT)
    member.disk.fail("open", errno.EACCES, where="/home/secret")
    return "/home/secret"


def with_a_nul(_member: Member) -> str:
    return "/home/fi\0le"


def refused(group: Group, operation: Callable[[Member], object]) -> OperationError:
    """What the operation of peer 1 fails with; nothing is sent, written or known because of it."""
    storage = group[1].storage
    assert storage is not None
    changes, files, usage = group[1].disk.changes, storage.catalog.home_file_ids(), storage.store.usage()
    with pytest.raises(OperationError) as raised:
        operation(group[1])
    group.pass_time(60.0)
    assert group.sent == []
    assert storage.catalog.home_file_ids() == files
    assert storage.store.usage() == usage
    assert group[1].disk.changes == changes
    assert "\n" not in raised.value.sentence
    assert raised.value.sentence.endswith(".")
    return raised.value


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (missing, ErrorCode.PATH_MISSING),
        (below_a_file, ErrorCode.PATH_MISSING),
        (folder, ErrorCode.NOT_A_REGULAR_FILE),
        (device, ErrorCode.NOT_A_REGULAR_FILE),
        (unreadable, ErrorCode.PATH_UNREADABLE),
        (with_a_nul, ErrorCode.PATH_MISSING),
    ],
)
def test_a_path_that_is_no_readable_file(prepare: Callable[[Member], str], code: ErrorCode) -> None:
    """SPEC.md 7.21."""
    with Group(1, 2) as group:
        path = prepare(group[1])
        error = refused(group, lambda member: member.backup(path, 1))
        assert error.code is code
        assert repr(path) in error.sentence


def test_a_file_with_too_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC.md 1.7: before anything of it is sent."""
    monkeypatch.setattr("storage.source.MAX_FILE_SIZE", len(CONTENT) - 1)
    with Group(1, 2) as group:
        group[1].write("/home/file", CONTENT)
        assert refused(group, lambda member: member.backup("/home/file", 1)).code is ErrorCode.FILE_TOO_LARGE
        monkeypatch.setattr("storage.source.MAX_FILE_SIZE", len(CONTENT))
        assert group[1].backup("/home/file", 1).below_degree == 0


def test_a_path_that_was_never_backed_up() -> None:
    """SPEC.md 7.21: though there is a file."""
    with Group(1, 2) as group:
        group[1].write("/home/file", CONTENT)
        for operation in (
            lambda member: member.restore("/home/file"),
            lambda member: member.delete("/home/file"),
        ):
            assert refused(group, operation).code is ErrorCode.NEVER_BACKED_UP


def test_a_path_that_was_deleted_was_never_backed_up() -> None:
    """SPEC.md 5.4, 7.21."""
    with Group(1, 2) as group:
        group[1].write("/home/file", CONTENT)
        group[1].backup("/home/file", 1)
        group[1].delete("/home/file")
        group.pass_time(10.0)
        group.sent.clear()
        for operation in (
            lambda member: member.restore("/home/file"),
            lambda member: member.delete("/home/file"),
        ):
            assert refused(group, operation).code is ErrorCode.NEVER_BACKED_UP


@pytest.mark.parametrize("path", ["file", "./file", "../home/file", ""])
def test_a_relative_path(path: str) -> None:
    """SPEC.md 7.5: the peer has a working folder of its own."""
    with Group(1, 2) as group:
        group[1].write("/home/file", CONTENT)
        for operation in (
            lambda member: member.backup(path, 1),
            lambda member: member.restore(path),
            lambda member: member.delete(path),
        ):
            assert refused(group, operation).code is ErrorCode.PATH_NOT_ABSOLUTE


@pytest.mark.parametrize("degree", [-1, 0, 10])
def test_a_degree_outside_1_to_9(degree: int) -> None:
    """SPEC.md 1.8, 7.7."""
    with Group(1, 2) as group:
        group[1].write("/home/file", CONTENT)
        assert refused(group, lambda member: member.backup("/home/file", degree)).code is ErrorCode.USAGE


def test_a_capacity_that_the_disk_cannot_hold() -> None:
    """SPEC.md 7.19: beyond what the copies take already and the disk has free."""
    with Group(1, 2) as group:
        error = refused(group, lambda member: member.reclaim(11 * PLENTY // 1_000))
        assert error.code is ErrorCode.CAPACITY_TOO_LARGE
        assert refused(group, lambda member: member.reclaim(-1)).code is ErrorCode.USAGE
        assert group[1].reclaim(PLENTY // 1_000).capacity_kbytes == PLENTY // 1_000
