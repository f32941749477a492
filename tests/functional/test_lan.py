"""tools.lan: a group of its own that leaves nothing running, however it ends."""

import contextlib
import os
import shlex
import signal
import socket
import stat
import sys
from pathlib import Path
from random import Random

import pytest
from attrs import evolve

from peer.control.secret import load_or_make_secret
from tests.functional.group import eventually, is_alive, lan_process, local_group, made_file
from tests.support.signals import heeded
from tools.peer_process import PROJECT

pytestmark = pytest.mark.functional


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(PROJECT)}


def command(folder: Path, peers: int = 2, *options: str) -> list[str]:
    return [sys.executable, "-m", "tools.lan", f"--peers={peers}", f"--dir={folder}", *options]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_it_ends_no_peer_is_left(tmp_path: Path, sent: signal.Signals) -> None:
    with heeded(signal.SIGHUP), lan_process(command(tmp_path), environment(tmp_path)) as lan:
        assert lan.stdout is not None
        processes = [int(lan.stdout.readline().split()[3]) for _ in range(2)]
        assert all(is_alive(process) for process in processes)
        lan.send_signal(sent)
        status = lan.wait(60)
        if sent in (signal.SIGINT, signal.SIGTERM):
            assert status == 0
        for process in processes:
            eventually(lambda process=process: not is_alive(process), "the peer is gone")  # type: ignore[misc]


def test_a_peer_that_dies_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    with lan_process(command(tmp_path), environment(tmp_path)) as lan:
        assert lan.stdout is not None
        assert lan.stderr is not None
        processes = [int(lan.stdout.readline().split()[3]) for _ in range(2)]
        os.kill(processes[0], signal.SIGKILL)
        assert f"peer 1 (process {processes[0]}) was killed by SIGKILL" in lan.stderr.readline()
        assert is_alive(processes[1])


def test_the_peers_have_groups_of_their_own_on_the_loopback_interface_that_no_datagram_leaves(
    tmp_path: Path,
) -> None:
    with local_group(tmp_path / "a", 2) as one, local_group(tmp_path / "b", 2) as other:
        commands = [shlex.split((peer.folder / "command").read_text()) for peer in one.peers + other.peers]
        groups = [{word for word in words if word.startswith("--m")} for words in commands]
        assert groups[0] == groups[1]
        assert groups[2] == groups[3]
        assert groups[0].isdisjoint(groups[2])
        assert all({"--interface=127.0.0.1", "--ttl=0"} <= set(words) for words in commands)
        file = made_file(tmp_path, 1_000)
        one[0].do("BACKUP", str(file), "1")
        assert [len(peer.stored) for peer in (one[1], other[0], other[1])] == [1, 0, 0]


def test_started_again_in_the_same_folder_the_peers_are_the_same(tmp_path: Path) -> None:
    file = made_file(tmp_path, 100_000)
    with local_group(tmp_path / "group", 2, "--base-id=7") as group:
        assert [peer.peer_id for peer in group.peers] == [7, 8]
        file_id = group[0].do("BACKUP", str(file), "1")["file_id"]
    with local_group(tmp_path / "group", 2, "--base-id=7") as group:
        assert group[0].do("STATE")["files"][0]["file_id"] == file_id
        assert group[0].restored(file) == file.read_bytes()


@pytest.mark.parametrize("depth", [1, 20])
def test_by_unix_sockets_the_peers_are_their_owner_s(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["deeper"] * depth)
    with local_group(folder, 2, "--unix", "--edition=version-first") as group:
        file = made_file(tmp_path, 1_000)
        group[0].do("BACKUP", str(file), "1")
        assert group[0].restored(file) == file.read_bytes()
        for peer in group.peers:
            assert stat.S_IMODE(os.stat(peer.access_point).st_mode) == 0o600
        group[0].kill()
        group[0].restart()
        assert group[0].restored(file) == file.read_bytes()
    assert not (folder / "config").exists(), "no secret is needed"


@pytest.mark.parametrize("options", [["--version=9.9"], ["--option=--no-such-option"]])
def test_peers_that_do_not_start_are_told_of_in_one_line(tmp_path: Path, options: list[str]) -> None:
    with lan_process(command(tmp_path, 2, *options), environment(tmp_path)) as lan:
        out, err = lan.communicate(timeout=60)
    assert (lan.returncode, out) == (1, "")
    assert err.startswith("tools.lan: peer ")
    assert err.count("\n") == 1


def test_a_second_group_in_the_same_folder_is_refused_and_the_first_unharmed(tmp_path: Path) -> None:
    with local_group(tmp_path, 2) as group:
        with lan_process(command(tmp_path), environment(tmp_path)) as second:
            _, err = second.communicate(timeout=60)
        assert second.returncode == 1
        assert err.startswith("tools.lan: peer 1 ")
        group[0].do("STATE")


NONSENSE = [b"GET / HTTP/1.1\r\n\r\n", b"\0", b"\xff" * 100_000, b"\0\1a\0\1b"]


def test_bytes_of_any_kind_on_a_real_peer_s_control_port_leave_it_serving(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 2) as group, contextlib.ExitStack() as open_connections:
        host, _, port = group[0].access_point.rpartition(":")
        for number in range(100):
            connection = socket.create_connection((host, int(port)))
            open_connections.enter_context(connection)
            connection.setblocking(False)
            # The oldest are shown out as new ones come.
            with contextlib.suppress(ConnectionError):
                connection.send(NONSENSE[number % len(NONSENSE)])
        group[0].do("STATE")


def test_another_user_of_the_machine_gets_nothing(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 2) as group:
        stranger = evolve(
            group[0], environment=group[0].environment | {"XDG_CONFIG_HOME": str(tmp_path / "stranger")}
        )
        without = stranger.ask("RESTORE", "/etc/hostname")
        load_or_make_secret(tmp_path / "stranger" / "backup-peer" / "secret", random=Random(1))
        with_another = stranger.ask("RESTORE", "/etc/hostname")
        for ending in (without, with_another):
            assert (ending.status, ending.out) == (4, "")
            assert "secret" in ending.err
        group[0].do("STATE")
