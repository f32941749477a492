"""The catalog of a peer's own files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from protocol.chunking import MAX_FILE_SIZE
from protocol.digest import Digest
from protocol.values import PeerId
from storage.catalog import SqliteCatalog
from storage.disk import IDisk
from storage.errors import DiskFull
from storage.interfaces import (
    DeadFile,
    FileVersion,
    Fingerprint,
    HolderChange,
    HolderNote,
    HomeChunk,
    ICatalog,
    VersionState,
)
from tests.storage.examples import a_fingerprint, chunk_id, file_id, open_catalog, peers
from tests.support.disk import MemoryDisk

PATH = "/home/ann/photo.jpg"
DIGEST = Digest.of(b"the body")


@pytest.fixture
def catalog(disk: IDisk, root: str) -> Iterator[SqliteCatalog]:
    catalog = open_catalog(disk, root)
    yield catalog
    catalog.close()


def begin(catalog: ICatalog, name: str = "photo", path: str = PATH, desired: int = 2) -> FileVersion:
    version = catalog.begin_version(
        path, file_id(name), b"salt of " + name.encode(), desired, a_fingerprint()
    )
    assert isinstance(version, FileVersion)
    return version


def test_it_keeps_the_contract(catalog: SqliteCatalog) -> None:
    assert verifyObject(ICatalog, catalog)


class TestSettings:
    def test_a_setting_is_what_it_was_set_to_last(self, catalog: SqliteCatalog) -> None:
        assert catalog.setting("peer id") is None
        catalog.set_setting("peer id", "7")
        catalog.set_setting("peer id", "8")
        catalog.set_setting("another", "9")
        assert catalog.setting("peer id") == "8"


class TestVersions:
    def test_a_version_begins_under_way_and_is_kept_as_it_was_begun(self, catalog: SqliteCatalog) -> None:
        version = begin(catalog)
        assert version == FileVersion(
            version_id=version.version_id,
            path=PATH,
            file_id=file_id("photo"),
            desired=2,
            size=300_001,
            chunk_count=5,
            fingerprint=a_fingerprint(),
            state=VersionState.UNDER_WAY,
            degree_met=False,
            salt=b"salt of photo",
        )
        assert catalog.version_of(file_id("photo")) == version
        assert catalog.version_of(file_id("another")) is None

    def test_a_path_gives_its_versions_newest_first_and_no_other_paths(self, catalog: SqliteCatalog) -> None:
        """SPEC.md 3.35."""
        old, new = begin(catalog, "old"), begin(catalog, "new")
        begin(catalog, "other", PATH + "2")
        assert catalog.versions(PATH) == [new, old]
        assert catalog.versions("/home/ann") == []

    def test_a_file_id_in_use_or_dead_is_refused(self, catalog: SqliteCatalog) -> None:
        """SPEC.md 5.6: never used again."""
        version = begin(catalog)
        with pytest.raises(ValueError, match="in use"):
            begin(catalog)
        catalog.bury([version.version_id], now=1.0)
        with pytest.raises(ValueError, match="dead"):
            begin(catalog)
        assert catalog.versions(PATH) == []

    def test_a_degree_beyond_the_protocol_is_refused(self, catalog: SqliteCatalog) -> None:
        with pytest.raises(ValueError, match="range"):
            begin(catalog, desired=10)

    def test_its_number_never_names_another_version(self, catalog: SqliteCatalog) -> None:
        first = begin(catalog, "a").version_id
        catalog.bury([first], now=1.0)
        assert begin(catalog, "b").version_id > first

    def test_it_is_completed_and_reopened(self, catalog: SqliteCatalog) -> None:
        version_id = begin(catalog).version_id
        catalog.finish_version(version_id, degree_met=True)
        found = catalog.versions(PATH)[0]
        assert (found.state, found.degree_met) == (VersionState.COMPLETE, True)
        catalog.reopen_version(version_id)
        found = catalog.versions(PATH)[0]
        assert (found.state, found.degree_met) == (VersionState.UNDER_WAY, False)
        catalog.finish_version(version_id, degree_met=False)
        found = catalog.versions(PATH)[0]
        assert (found.state, found.degree_met) == (VersionState.COMPLETE, False)

    def test_once_its_degree_is_met_the_older_ones_of_its_path_are_of_no_more_use(
        self, catalog: SqliteCatalog
    ) -> None:
        oldest, older, newest = (begin(catalog, name) for name in "abc")
        begin(catalog, "d", "/another")
        assert catalog.finish_version(older.version_id, degree_met=True) == [oldest]
        complete = catalog.versions(PATH)[1]
        assert catalog.finish_version(newest.version_id, degree_met=False) == []
        assert catalog.finish_version(newest.version_id, degree_met=True) == [complete, oldest]

    def test_its_degree_and_fingerprint_can_change(self, catalog: SqliteCatalog) -> None:
        version_id = begin(catalog).version_id
        catalog.set_desired(version_id, 5)
        catalog.set_fingerprint(version_id, a_fingerprint(mtime_ns=6))
        found = catalog.versions(PATH)[0]
        assert (found.desired, found.fingerprint) == (5, a_fingerprint(mtime_ns=6))

    def test_a_version_that_is_gone_is_not_changed_into_being(self, catalog: SqliteCatalog) -> None:
        version_id = begin(catalog).version_id
        catalog.bury([version_id], now=1.0)
        for change in (
            lambda: catalog.record_chunks(version_id, [HomeChunk(0, DIGEST, peers())]),
            lambda: catalog.finish_version(version_id, degree_met=True),
            lambda: catalog.reopen_version(version_id),
            lambda: catalog.set_desired(version_id, 3),
            lambda: catalog.set_fingerprint(version_id, a_fingerprint()),
        ):
            with pytest.raises(KeyError):
                change()
        assert catalog.page_versions(0, 9) == []
        assert catalog.chunks(version_id, 0, 9) == []

    def test_those_whose_degree_is_unmet_are_found_oldest_first(self, catalog: SqliteCatalog) -> None:
        first, second, third = (begin(catalog, name, f"/{name}") for name in "cab")
        catalog.finish_version(second.version_id, degree_met=True)
        assert catalog.unmet() == [first, third]
        catalog.finish_version(first.version_id, degree_met=False)
        assert [version.version_id for version in catalog.unmet()] == [first.version_id, third.version_id]

    def test_a_higher_degree_is_unmet_again_and_a_lower_one_is_not(self, catalog: SqliteCatalog) -> None:
        version = begin(catalog, "a", "/a")
        catalog.finish_version(version.version_id, degree_met=True)
        catalog.set_desired(version.version_id, version.desired)
        assert catalog.unmet() == []
        catalog.set_desired(version.version_id, version.desired + 1)
        assert [unmet.version_id for unmet in catalog.unmet()] == [version.version_id]

    def test_all_versions_come_in_pages(self, catalog: SqliteCatalog) -> None:
        versions = [begin(catalog, str(number), f"/{number}") for number in range(5)]
        first_page = catalog.page_versions(0, 3)
        assert first_page == versions[:3]
        assert catalog.page_versions(first_page[-1].version_id, 3) == versions[3:]

    def test_the_file_ids_of_all_versions_are_ours(self, catalog: SqliteCatalog) -> None:
        """SPEC.md 3.15."""
        for name in ("a", "b"):
            begin(catalog, name)
        assert catalog.home_file_ids() == sorted([file_id("a"), file_id("b")])

    @given(
        path=st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name),
        numbers=st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4),
        size=st.integers(0, MAX_FILE_SIZE),
        salt=st.binary(max_size=32),
    )
    def test_any_name_and_any_numbers_of_a_file_system_are_kept(
        self, path: bytes, numbers: list[int], size: int, salt: bytes
    ) -> None:
        """SPEC.md 9.13: a name need not be text, and an inode number may have 64 bits."""
        catalog = open_catalog(MemoryDisk(), "/store")
        name = path.decode("utf-8", "surrogateescape")
        fingerprint = Fingerprint(size, *numbers)
        begun = catalog.begin_version(name, file_id("a"), salt, 1, fingerprint)
        assert catalog.versions(name) == [begun]
        assert (begun.path, begun.fingerprint, begun.salt) == (name, fingerprint, salt)
        catalog.close()


class TestChunks:
    def test_recorded_chunks_come_by_number_and_in_parts(self, catalog: SqliteCatalog) -> None:
        version_id = begin(catalog).version_id
        chunks = [HomeChunk(no, DIGEST, peers(no, 2**64 - 1)) for no in (0, 1, 2, 4)]
        catalog.record_chunks(version_id, chunks[::-1])
        assert catalog.chunks(version_id, 0, 2) == chunks[:2]
        assert catalog.chunks(version_id, 2, 9) == chunks[2:]

    def test_a_later_record_replaces_the_holders_and_keeps_a_known_digest(
        self, catalog: SqliteCatalog
    ) -> None:
        version_id = begin(catalog).version_id
        catalog.record_chunks(version_id, [HomeChunk(0, None, peers(1))])
        assert catalog.chunks(version_id, 0, 9) == [HomeChunk(0, None, peers(1))]
        catalog.record_chunks(version_id, [HomeChunk(0, DIGEST, peers(1, 2))])
        catalog.record_chunks(version_id, [HomeChunk(0, None, peers(2, 3))])
        assert catalog.chunks(version_id, 0, 9) == [HomeChunk(0, DIGEST, peers(2, 3))]

    def test_holders_are_counted_by_chunk_whatever_the_version(self, catalog: SqliteCatalog) -> None:
        first, second = begin(catalog, "a", desired=2), begin(catalog, "b", desired=3)
        catalog.record_chunks(first.version_id, [HomeChunk(7, DIGEST, peers(1))])
        catalog.record_chunks(second.version_id, [HomeChunk(7, DIGEST, peers())])
        notes = [
            HolderNote(chunk_id("a", 7), PeerId(2), holds=True),
            HolderNote(chunk_id("a", 7), PeerId(2), holds=True),
            HolderNote(chunk_id("a", 7), PeerId(1), holds=False),
            HolderNote(chunk_id("b", 7), PeerId(1), holds=True),
            HolderNote(chunk_id("b", 8), PeerId(1), holds=True),
            HolderNote(chunk_id("c", 7), PeerId(1), holds=True),
        ]
        assert catalog.note_holders(notes) == [
            HolderChange(chunk_id("a", 7), was_news=True, perceived=2, desired=2),
            HolderChange(chunk_id("a", 7), was_news=False, perceived=2, desired=2),
            HolderChange(chunk_id("a", 7), was_news=True, perceived=1, desired=2),
            HolderChange(chunk_id("b", 7), was_news=True, perceived=1, desired=3),
            None,
            None,
        ]
        assert catalog.chunks(first.version_id, 0, 9) == [HomeChunk(7, DIGEST, peers(2))]
        assert catalog.chunks(second.version_id, 0, 9) == [HomeChunk(7, DIGEST, peers(1))]


class TestTheDead:
    def test_a_buried_version_is_gone_and_its_file_id_dead(self, catalog: SqliteCatalog) -> None:
        """SPEC.md 5.5."""
        gone, stays = begin(catalog, "gone"), begin(catalog, "stays")
        for version in (gone, stays):
            catalog.record_chunks(version.version_id, [HomeChunk(0, DIGEST, peers(1))])
        catalog.bury([gone.version_id, 12_345], now=17.25)
        assert catalog.dead() == [DeadFile(file_id("gone"), 17.25, is_announced=False)]
        assert catalog.versions(PATH) == [stays]
        assert catalog.chunks(gone.version_id, 0, 9) == []
        assert len(catalog.chunks(stays.version_id, 0, 9)) == 1
        assert catalog.home_file_ids() == [file_id("stays")]

    def test_the_dead_are_announced_and_forgotten_one_by_one(self, catalog: SqliteCatalog) -> None:
        for time, name in enumerate("ab"):
            catalog.bury([begin(catalog, name).version_id], now=float(time))
        catalog.set_announced([file_id("a"), file_id("never was")])
        assert [(dead.file_id, dead.is_announced) for dead in catalog.dead()] == [
            (file_id("a"), True),
            (file_id("b"), False),
        ]
        catalog.forget_dead(before=1.0)
        assert [dead.file_id for dead in catalog.dead()] == [file_id("b")]


class TestADiskThatRefuses:
    def test_what_cannot_be_promised_is_not_done(self) -> None:
        disk = MemoryDisk()
        catalog = open_catalog(disk, "/store")
        version = begin(catalog)
        disk.fail("commit", 28)
        with pytest.raises(DiskFull, match="free some space"):
            catalog.bury([version.version_id], now=1.0)
        disk.mend()
        assert catalog.versions(PATH) == [version]
        assert catalog.dead() == []
        catalog.bury([version.version_id], now=1.0)
        assert catalog.versions(PATH) == []


def test_everything_is_there_after_a_restart(disk: IDisk, root: str) -> None:
    first = open_catalog(disk, root)
    version = begin(first)
    first.record_chunks(version.version_id, [HomeChunk(0, DIGEST, peers(1))])
    first.note_holders([HolderNote(chunk_id("photo", 0), PeerId(9), holds=True)])
    first.close()
    again = open_catalog(disk, root)
    assert again.unmet() == [version]
    assert again.chunks(version.version_id, 0, 9) == [HomeChunk(0, DIGEST, peers(1, 9))]
    again.close()
