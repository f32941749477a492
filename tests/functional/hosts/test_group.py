"""A group of real peers on hosts of their own, each datagram of a chunk in 44 fragments (SPEC.md 3 to 6)."""

import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.functional.group import eventually, made_file
from tests.functional.hosts.lan import HostLan, lan_of_hosts
from tests.functional.hosts.peers import HostPeer, group_on_hosts, other_pythons

pytestmark = pytest.mark.functional

FRAGMENTS_OF_A_CHUNK = 44


@pytest.fixture
def lan() -> Iterator[HostLan]:
    with lan_of_hosts(3) as lan:
        yield lan


@pytest.mark.parametrize("edition", ["type-first", "version-first"])
def test_files_go_round_in_fragments(lan: HostLan, tmp_path: Path, edition: str) -> None:
    with group_on_hosts(tmp_path / "group", lan.hosts, f"--edition={edition}") as group:
        files = [made_file(tmp_path, size) for size in (300_001, 128_000)]
        for file in files:
            assert group[0].do("BACKUP", str(file), "2")["perceived_min"] == 2
        # Four whole chunks of the first file, two of the second.
        assert lan.hosts[0].ip_counters["FragCreates"] >= 6 * FRAGMENTS_OF_A_CHUNK
        for host in lan.hosts[1:]:
            assert host.ip_counters["ReasmOKs"] >= 6
        before = lan.hosts[0].ip_counters["ReasmOKs"]
        for file in files:
            assert group[0].restored(file) == file.read_bytes()
        assert lan.hosts[0].ip_counters["ReasmOKs"] >= before + 6
        group[0].do("DELETE", str(files[0]))
        for peer in group.others:
            eventually(lambda peer=peer: len(peer.stored) == 3, "its chunks are gone")  # type: ignore[misc]


def test_a_peer_gives_its_disk_back_over_the_lan(lan: HostLan, tmp_path: Path) -> None:
    with group_on_hosts(tmp_path / "group", lan.hosts) as group:
        file = made_file(tmp_path, 300_001)
        group[0].do("BACKUP", str(file), "1")
        report = group[1].do("RECLAIM", "0")
        assert (report["used_kbytes"], report["unplaced_chunks"]) == (0, 0)
        assert len(group[2].stored) == 5
        assert group[0].restored(file) == file.read_bytes()


def test_six_peers_that_lose_a_part_of_all_datagrams_lose_no_file(tmp_path: Path) -> None:
    """SPEC.md 1.12, 3.3, 4.3."""
    with lan_of_hosts(6) as lan, group_on_hosts(tmp_path / "group", lan.hosts) as group:
        for host in lan.hosts:
            host.lose(0.04)
        files = {peer.peer_id: made_file(tmp_path, 1_500_000, seed=peer.peer_id) for peer in group.peers[:2]}
        backups = [
            peer.asking("BACKUP", str(files[peer.peer_id]), degree)
            for peer, degree in zip(group.peers, ("3", "2"), strict=False)
        ]
        for backup, degree in zip(backups, (3, 2), strict=True):
            ending = backup.end()
            assert ending.status == 0, ending
            assert ending.report["perceived_min"] >= degree
        for peer in group.peers[:2]:
            assert peer.restored(files[peer.peer_id]) == files[peer.peer_id].read_bytes()
        for host in lan.hosts:
            assert host.packets_dropped > 0


def test_a_peer_that_joins_late_takes_what_is_still_missing(lan: HostLan, tmp_path: Path) -> None:
    """SPEC.md 3.3: the retransmissions reach who wasn't there before."""
    with group_on_hosts(tmp_path / "group", lan.hosts) as group:
        file = made_file(tmp_path, 300_001)
        backup = group[0].asking("BACKUP", str(file), "3")
        for peer in group.others:
            eventually(lambda peer=peer: len(peer.stored) == 5, "those who are there have it")  # type: ignore[misc]
        late = group.begin(lan.add())
        group.await_all()
        ending = backup.end()
        assert (ending.status, ending.report["perceived_min"]) == (0, 3)
        for peer in group.others[:2]:
            peer.kill()
        assert len(late.stored) == 5
        assert group[0].restored(file) == file.read_bytes()


def test_a_home_that_is_deaf_for_a_while_hears_of_its_copies_later(lan: HostLan, tmp_path: Path) -> None:
    """SPEC.md 3.16: a holder answers every PUTCHUNK, since its first answer may have been lost."""
    with group_on_hosts(tmp_path / "group", lan.hosts) as group:
        home = lan.hosts[0]
        file = made_file(tmp_path, 300_001)
        home.deafen()
        backup = group[0].asking("BACKUP", str(file), "2")
        for peer in group.others:
            eventually(lambda peer=peer: len(peer.stored) == 5, "the deaf one is heard")  # type: ignore[misc]
        home.give_hearing()
        ending = backup.end()
        assert (ending.status, ending.report["perceived_min"]) == (0, 2)

        home.deafen()
        restore = group[0].asking("RESTORE", str(file))
        dropped = home.packets_dropped
        eventually(lambda: home.packets_dropped >= dropped + FRAGMENTS_OF_A_CHUNK, "it is answered")
        home.give_hearing()
        assert Path(restore.end().report["path"]).read_bytes() == file.read_bytes()


def test_a_holder_that_is_deaf_is_no_holder_and_keeps_nobody_from_anything(
    lan: HostLan, tmp_path: Path
) -> None:
    with group_on_hosts(tmp_path / "group", lan.hosts) as group:
        lan.hosts[1].deafen()
        file = made_file(tmp_path, 300_001)
        assert group[0].do("BACKUP", str(file), "1")["perceived_min"] == 1
        assert group[1].stored == []
        # It is heard: what it backs up itself is stored by all, though it can't know.
        own = made_file(tmp_path, 1_000, seed=2)
        backup = group[1].asking("BACKUP", str(own), "1")
        eventually(lambda: len(group[0].stored) == 1, "its chunk is stored")
        lan.hosts[1].give_hearing()
        assert backup.end().status == 0
        assert group[1].restored(own) == own.read_bytes()
        assert group[0].restored(file) == file.read_bytes()


def test_peers_of_every_kind_are_one_group(tmp_path: Path) -> None:
    """Each a process of its own, with a Python, an edition, a capacity, buffers and an access point of its own."""
    with lan_of_hosts(6) as lan, group_on_hosts(tmp_path / "group", []) as group:
        pythons = cycle([sys.executable, *other_pythons()])
        for number, host in enumerate(lan.hosts):
            group.begin(
                host,
                f"--edition={('type-first', 'version-first')[number % 2]}",
                f"--capacity={(100_000, 3_000, 640, 50_000)[number % 4]}",
                f"--receive-buffer={(32_000_000, 212_992, 2_000_000)[number % 3]}",
                f"--last-copy-grace={number + 1}",
                python=next(pythons),
                is_unix=number % 2 == 1,
            )
        group.await_all()
        homes = group.peers[:3]
        files = {peer.peer_id: made_file(tmp_path, 200_000, seed=peer.peer_id) for peer in homes}
        _all_done(homes, lambda peer_id: ("BACKUP", str(files[peer_id]), "3"))
        restored = _all_done(homes, lambda peer_id: ("RESTORE", str(files[peer_id])))
        for peer_id, report in restored.items():
            assert Path(report["path"]).read_bytes() == files[peer_id].read_bytes()
        deleted = group[0].do("DELETE", str(files[1]))["file_id"]
        for peer in group.peers[3:]:
            eventually(
                lambda peer=peer: deleted not in {chunk["file_id"] for chunk in peer.stored},  # type: ignore[misc]
                "nothing is left of the file",
            )


def _all_done(peers: list[HostPeer], request: Callable[[int], tuple[str, ...]]) -> dict[int, dict[str, Any]]:
    """Ask each of them for something, all at the same time: what each has answered, by its id."""
    asked = {peer.peer_id: peer.asking(*request(peer.peer_id)) for peer in peers}
    endings = {peer_id: asking.end() for peer_id, asking in asked.items()}
    assert all(ending.status == 0 for ending in endings.values()), endings
    return {peer_id: ending.report for peer_id, ending in endings.items()}
