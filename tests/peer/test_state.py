"""What STATE tells, page by page (SPEC.md 7.13 to 7.20, 10.4, 10.12)."""

from __future__ import annotations

import pytest

from peer.control.interfaces import MAX_PAGE_ENTRIES, ChunkState, StatePage, StateSummary
from peer.errors import ErrorCode, OperationError
from protocol.values import CHUNK_SIZE
from tests.peer.copies import let_go
from tests.support.group import Group
from tests.support.stranger import Stranger, chunk_id

FILES = {"/home/album": 12, "/home/empty": 1, "/home/film": 30, "/home/photo": 1}
"""Paths, and how many chunks each has."""


def pages(group: Group, peer_id: int) -> list[StatePage]:
    """The whole state of a peer."""
    peer = group[peer_id].peer
    assert peer is not None
    read: list[StatePage] = []
    while not read or read[-1].cursor:
        read.append(group.run(peer.operations.state_page(read[-1].cursor if read else "")))
        assert len(read) < 1_000
    return read


def files(read: list[StatePage]) -> list[tuple[str, str, int, list[tuple[int, int]]]]:
    """The files of some pages, their parts joined as 10.4 says: path, fileId, degree, chunks."""
    joined: list[tuple[str, str, int, list[tuple[int, int]]]] = []
    for page in read:
        for part in page.files:
            if not joined or joined[-1][1] != part.file_id:
                joined.append((part.path, part.file_id, part.desired, []))
            joined[-1][3].extend(part.chunks)
    return joined


def copies(read: list[StatePage]) -> list[ChunkState]:
    """The copies of some pages."""
    return [chunk for page in read for chunk in page.chunks]


def summary(group: Group, peer_id: int) -> StateSummary:
    """The state of a peer in numbers."""
    peer = group[peer_id].peer
    assert peer is not None
    return group.run(peer.operations.state_summary())


def back_up_all(group: Group) -> dict[str, str]:
    """Have peer 1 back the files up at degree 2; their fileIds."""
    for path, chunks in FILES.items():
        group[1].write(path, bytes((chunks - 1) * CHUNK_SIZE))
    return {path: group[1].backup(path, 2).file_id for path in FILES}


class TestContent:
    def test_of_the_files_that_this_peer_has_backed_up(self) -> None:
        """SPEC.md 7.13."""
        with Group(1, 2, 3) as group:
            ids = back_up_all(group)
            assert files(pages(group, 1)) == [
                (path, ids[path], 2, [(no, 2) for no in range(chunks)]) for path, chunks in FILES.items()
            ]
            assert files(pages(group, 2)) == []

    def test_a_backup_under_way_is_told_from_one_that_is_complete(self) -> None:
        """SPEC.md 7.13, 3.35: and how many chunks there are to be."""
        with Group(1) as group:
            group[1].write("/home/photo", bytes(3 * CHUNK_SIZE))
            let_go(group[1].begin_backup("/home/photo", 1))
            group.pass_time(1.0)
            [file] = [file for page in pages(group, 1) for file in page.files]
            assert (file.chunk_count, file.is_complete, len(file.chunks)) == (4, False, 0)
            group.add(2)
            group.pass_time(60.0)
            [file] = [file for page in pages(group, 1) for file in page.files]
            assert (file.chunk_count, file.is_complete, len(file.chunks)) == (4, True, 4)

    def test_of_the_copies_that_it_stores(self) -> None:
        """SPEC.md 7.13."""
        with Group(1, 2, 3) as group:
            group[1].write("/home/photo", bytes(CHUNK_SIZE + 17))
            file_id = group[1].backup("/home/photo", 1).file_id
            group.pass_time(1.0)
            expected = [
                ChunkState(file_id=file_id, no=no, length=length, desired=1, perceived=2)
                for no, length in enumerate([CHUNK_SIZE, 17])
            ]
            assert copies(pages(group, 2)) == expected
            assert copies(pages(group, 1)) == []

    def test_in_numbers(self) -> None:
        """SPEC.md 7.13, 7.15: KByte, each copy charged in steps of 4."""
        with Group(2, capacity_bytes=1_000_000) as group:
            home = Stranger(group)
            for no, length in enumerate([0, 1, 4_000, 4_001, CHUNK_SIZE]):
                home.putchunk(chunk_id("film", no), bytes(length))
            group.pass_time(1.0)
            assert summary(group, 2) == StateSummary(
                peer=2,
                version="1.0",
                capacity_kbytes=1_000,
                used_kbytes=4 + 4 + 4 + 8 + 64,
                files=0,
                chunks=5,
            )

    def test_ten_full_chunks_fit_640_kbyte_exactly(self) -> None:
        """SPEC.md 7.15, 7.16."""
        with Group(2, capacity_bytes=640_000) as group:
            home = Stranger(group)
            for no in range(12):
                home.putchunk(chunk_id("film", no), bytes(CHUNK_SIZE))
                group.pass_time(1.0)
            assert (summary(group, 2).used_kbytes, summary(group, 2).chunks) == (640, 10)

    def test_a_capacity_that_reclaim_sets_survives_a_restart(self) -> None:
        """SPEC.md 7.18: until the option differs from that of the last start."""
        with Group(2) as group:
            group[2].reclaim(640)
            group[2].restart()
            assert summary(group, 2).capacity_kbytes == 640
            group[2].capacity_bytes = 1_000_000
            group[2].restart()
            assert summary(group, 2).capacity_kbytes == 1_000

    def test_two_versions_of_a_path_are_two_files(self) -> None:
        """SPEC.md 3.34, 7.13: while the older one is kept."""
        with Group(1, 2) as group:
            ids = []
            for content in (b"the first", b"the second"):
                group[1].write("/home/photo", content)
                ids.append(group[1].backup("/home/photo", 1 if content == b"the first" else 2).file_id)
            assert files(pages(group, 1)) == [
                ("/home/photo", ids[0], 1, [(0, 1)]),
                ("/home/photo", ids[1], 2, [(0, 1)]),
            ]
            assert summary(group, 1).files == 2


class TestPages:
    @pytest.mark.parametrize("entries", [2, 3, 5, 13, 44, 48])
    def test_the_state_is_the_same_however_large_a_page_is(
        self, monkeypatch: pytest.MonkeyPatch, entries: int
    ) -> None:
        """SPEC.md 7.14, 10.4: a page has no more entries than it may, and nothing is left out or told twice."""
        with Group(1, 2) as group:
            group.add(3)
            back_up_all(group)
            group[2].write("/home/song", bytes(100))
            group[2].backup("/home/song", 1)
            group.pass_time(1.0)
            whole = {peer_id: pages(group, peer_id) for peer_id in (1, 2, 3)}
            assert [len(read) for read in whole.values()] == [2, 2, 2]
            monkeypatch.setattr("peer.state.MAX_PAGE_ENTRIES", entries)
            for peer_id, expected in whole.items():
                read = pages(group, peer_id)
                assert files(read) == files(expected)
                assert copies(read) == copies(expected)
                for page in read:
                    in_files = sum(1 + len(part.chunks) for part in page.files)
                    assert in_files + len(page.chunks) <= entries

    def test_more_than_one_page_of_chunks(self) -> None:
        """SPEC.md 10.4: with pages as large as they are."""
        with Group(1, 2) as group:
            group[1].write("/home/film", bytes((MAX_PAGE_ENTRIES + 100) * CHUNK_SIZE))
            file_id = group[1].backup("/home/film", 1).file_id
            assert files(pages(group, 1)) == [
                ("/home/film", file_id, 1, [(no, 1) for no in range(MAX_PAGE_ENTRIES + 101)])
            ]
            assert [chunk.no for chunk in copies(pages(group, 2))] == list(range(MAX_PAGE_ENTRIES + 101))

    @pytest.mark.parametrize(
        "cursor",
        [
            "x",
            "f",
            "f:1",
            "f:1:0:0",
            "g:1:0",
            "f:one:0",
            "f:1:zero",
            "f::0",
            "f:-1:0",
            "f:1:-1",
            "f:1:1000001",
            f"f:{10**30}:0",
            f"f:1:{10**30}",
            f"c::{10**30}",
            "c::-1",
            "c:1a2b:0",
            f"c:{'g' * 64}:0",
            f"c:{'0' * 64}:1000001",
            f"c:{'A' * 64}:0",
            f"f:{'1' * 5_000}:0",
            "f:١:0",
            "f:1 :0",
            "f:1_0:0",
        ],
    )
    def test_a_cursor_that_was_never_given_is_wrong_usage(self, cursor: str) -> None:
        """SPEC.md 10.12."""
        with Group(1) as group:
            peer = group[1].peer
            assert peer is not None
            with pytest.raises(OperationError) as raised:
                group.run(peer.operations.state_page(cursor))
            assert raised.value.code is ErrorCode.USAGE
