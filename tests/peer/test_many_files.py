"""Many files asked for at once: what the peer has open and has read stays bounded (SPEC.md 11.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults

from peer.errors import ErrorCode, OperationError
from protocol.limits import MAX_UNSENT_BYTES
from protocol.messages import PutChunk
from protocol.timing import ATTEMPT_WAITS
from protocol.values import CHUNK_SIZE
from storage.restored import TEMPORARY_PREFIX, RestoredFile
from storage.source import SourceFile
from tests.support.disk import Operation
from tests.support.group import STORE, Group

PATHS = [f"/home/photo{number}" for number in range(12)]


class Counted:
    """How many there are of what is begun and ended, now and at the most."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    def add(self, amount: int) -> None:
        self.set(self.now + amount)

    def set(self, number: int) -> None:
        self.now = number
        self.most = max(self.most, number)


def write_all(group: Group) -> None:
    """Put a file at every path of peer 1's."""
    for path in PATHS:
        group[1].write(path, path.encode())


def count_files(patch: pytest.MonkeyPatch, kind: type[Any], begin: str, *ends: str) -> Counted:
    """Count the files of a kind between the calls that open one and that let go of it."""
    counted = Counted()
    now_open: dict[int, Any] = {}
    begun, ended = getattr(kind, begin), {name: getattr(kind, name) for name in ends}

    def opened(_cls: type[Any], *args: Any, **options: Any) -> Any:
        file = begun(*args, **options)
        now_open[id(file)] = file
        counted.set(len(now_open))
        return file

    def closing(name: str) -> Any:
        def closed(file: Any) -> Any:
            now_open.pop(id(file), None)
            counted.set(len(now_open))
            return ended[name](file)

        return closed

    patch.setattr(kind, begin, classmethod(opened))
    for name in ends:
        patch.setattr(kind, name, closing(name))
    return counted


def stop_as_a_service_does(group: Group, running: Iterable[Deferred[Any]]) -> None:
    """Stop peer 1, and cancel twice what is under way there, the second time what it cleans up."""
    assert group[1].peer is not None
    group[1].peer.operations.stop()
    group[1].stop()
    for ending in running:
        ending.addErrback(lambda failure: failure.trap(OperationError))


def test_so_many_files_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peer.home.MAX_FILES_READ", 3)
    files = count_files(monkeypatch, SourceFile, "open", "close")
    with Group(1, 2) as group:
        write_all(group)
        reports = group.run(gatherResults([group[1].begin_backup(path, 1) for path in PATHS]))
        assert [report.below_degree for report in reports] == [0] * len(PATHS)
    assert (files.most, files.now) == (3, 0)


def test_a_file_that_waits_for_answers_keeps_nobody_from_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else 1,000 small files would take the delay of the STOREDs as often as it takes turns to open them."""
    monkeypatch.setattr("peer.home.MAX_FILES_READ", 3)
    files = count_files(monkeypatch, SourceFile, "open", "close")
    with Group(1) as group:
        write_all(group)
        running = [group[1].begin_backup(path, 1) for path in PATHS]
        group.pass_time(ATTEMPT_WAITS[0] / 2)
        assert len(group.said(PutChunk)) == len(PATHS)
        assert files.now == 0
        group.add(2)
        assert [group.run(backup).below_degree for backup in running] == [0] * len(PATHS)


@pytest.mark.parametrize("step", range(20))
def test_a_stop_leaves_no_file_of_a_backup_open(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    files = count_files(monkeypatch, SourceFile, "open", "close")
    with Group(1, 2) as group:
        write_all(group)
        running = [group[1].begin_backup(path, 2) for path in PATHS]
        group.pass_time(step * 0.002)
        stop_as_a_service_does(group, running)
        assert files.now == 0


@pytest.mark.parametrize("step", range(40))
def test_a_file_is_closed_whenever_its_backup_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Also while the thread for such things opens or closes it, or has still to come to that."""
    files = count_files(monkeypatch, SourceFile, "open", "close")
    with Group(1, 2) as group:
        write_all(group)
        running = [group[1].begin_backup(path, 2) for path in PATHS]
        group.pass_time(step * 0.001)
        deletions = [group[1].begin_delete(path) for path in PATHS]
        for backup in running:
            with pytest.raises(OperationError) as raised:
                group.run(backup)
            assert raised.value.code is ErrorCode.CANCELLED
        for deletion in deletions:
            deletion.addErrback(lambda failure: failure.trap(OperationError))
        group.pass_time(1.0)
        assert files.now == 0


def test_so_many_files_are_restored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peer.home.MAX_FILES_RESTORED", 3)
    files = count_files(monkeypatch, RestoredFile, "create", "commit")
    with Group(1, 2) as group:
        write_all(group)
        for path in PATHS:
            group[1].backup(path, 1)
        reports = group.run(gatherResults([group[1].begin_restore(path) for path in PATHS]))
        restored = [group[1].disk.read_file(report.path) for report in reports]
        assert restored == [path.encode() for path in PATHS]
    assert (files.most, files.now) == (3, 0)


def test_files_that_nobody_gives_do_not_hold_each_other_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC.md 4.17: with one of two holders off, 31 s for each turn, though the other's files come meanwhile."""
    monkeypatch.setattr("peer.home.MAX_FILES_RESTORED", 5)
    paths = [f"/home/{number}" for number in range(60)]
    with Group(1, 2, 3) as group:
        for path in paths:
            group[1].write(path, path.encode())
        for off, kept in ((3, paths[::2]), (2, paths[1::2])):
            group[off].stop()
            for path in kept:
                group[1].backup(path, 1)
            group[off].start()
        group[3].stop()
        running = [group[1].begin_restore(path) for path in paths]
        began = group.clock.seconds()
        for path, restore in zip(paths, running, strict=True):
            if path in paths[::2]:
                assert group[1].disk.read_file(group.run(restore).path) == path.encode()
            else:
                with pytest.raises(OperationError, match="chunk 0"):
                    group.run(restore)
        assert group.clock.seconds() - began < (30 / 5 + 1) * 31.0


@pytest.mark.parametrize("step", range(20))
def test_a_stop_leaves_no_file_of_a_restore(step: int) -> None:
    """SPEC.md 4.16."""
    with Group(1, 2) as group:
        write_all(group)
        for path in PATHS:
            group[1].backup(path, 1)
        running = [group[1].begin_restore(path) for path in PATHS]
        group.pass_time(step * 0.002)
        stop_as_a_service_does(group, running)
        left = group[1].disk.list_directory(f"{STORE}/restored")
        assert [name for name in left if name.startswith(TEMPORARY_PREFIX)] == []


def test_a_restore_looks_for_no_temporary_name_among_those_of_the_others() -> None:
    """Else each would try the names of all that are under way: of n files, n² / 2 names."""
    with Group(1, 2) as group:
        write_all(group)
        for path in PATHS:
            group[1].backup(path, 1)
        tried: list[str] = []

        def note(operation: Operation) -> None:
            if TEMPORARY_PREFIX in operation.path and operation.kind in ("create", "open"):
                tried.append(operation.path)

        group[1].disk.intercept(note)
        group.run(gatherResults([group[1].begin_restore(path) for path in PATHS]))
        assert len(tried) == len(PATHS)


def test_whoever_is_ended_while_he_waits_takes_nobodys_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peer.home.MAX_FILES_READ", 1)
    with Group(1) as group:
        write_all(group)
        first, waiting, last = (group[1].begin_backup(path, 1) for path in PATHS[:3])
        deletion = group[1].begin_delete(PATHS[1])
        for ended, code in ((waiting, ErrorCode.CANCELLED), (deletion, ErrorCode.NEVER_BACKED_UP)):
            with pytest.raises(OperationError) as raised:
                group.run(ended, limit=1.0)
            assert raised.value.code is code
        group.add(2)
        assert [group.run(running).below_degree for running in (first, last)] == [0, 0]
        assert group[1].backup(PATHS[1], 1).below_degree == 0


def test_what_was_read_of_all_of_them_and_was_not_sent_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    read_ahead = 2_048_000
    monkeypatch.setattr("peer.home.MAX_READ_AHEAD_BYTES", read_ahead)
    unsent = Counted()
    read_chunks = SourceFile.read_chunks

    with Group(1, 2) as group:

        def count(source: SourceFile, first_no: int, number: int) -> list[bytes]:
            bodies = read_chunks(source, first_no, number)
            read.add(sum(map(len, bodies)))
            sent = sum(len(message.body) for _, message in group.said(PutChunk, by=1))
            unsent.most = max(unsent.most, read.now - sent)
            return bodies

        read = Counted()
        monkeypatch.setattr(SourceFile, "read_chunks", count)
        for number, path in enumerate(PATHS):
            group[1].write(path, bytes([number]) * (32 * CHUNK_SIZE))
        reports = group.run(gatherResults([group[1].begin_backup(path, 1) for path in PATHS]))
        assert [report.below_degree for report in reports] == [0] * len(PATHS)
    one_batch = 16 * CHUNK_SIZE
    assert unsent.most <= read_ahead + one_batch + MAX_UNSENT_BYTES + CHUNK_SIZE
