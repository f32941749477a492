"""What keeps a peer from starting is said in one sentence, with exit status 1 or 2, and nothing is changed."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from storage.catalog import CATALOG_SCHEMA
from tests.functional.group import Ending, eventually
from tools.peer_process import PROJECT

pytestmark = pytest.mark.functional

TWISTD = [
    sys.executable,
    "-c",
    "from twisted.scripts.twistd import run; run()",
    "-n",
    "--pidfile=",
    "--logfile=-",
]
GROUPS = ["--mc=239.192.7.91:7901", "--mdb=239.192.7.92:7902", "--mdr=239.192.7.93:7903"]


def command(folder: Path, *options: str) -> list[str]:
    store = folder / "store"
    unix = folder / "control.sock"
    loopback = ["--interface=127.0.0.1", "--ttl=0"]
    return [*TWISTD, "backup-peer", f"--store={store}", f"--control={unix}", *loopback, *GROUPS, *options]


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(PROJECT)}


def start_in_vain(folder: Path, *options: str) -> Ending:
    done = subprocess.run(
        command(folder, *options),
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ending(done.returncode, done.stdout, done.stderr)


def start_and_stop(folder: Path, *options: str) -> None:
    """Let a peer make its store."""
    process = subprocess.Popen(
        command(folder, *options),
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually((folder / "control.sock").exists, "the peer listens")
    finally:
        process.terminate()
        process.wait(30)


def test_a_stop_closes_the_store_though_somebody_has_removed_the_socket(tmp_path: Path) -> None:
    """SPEC.md 9.23: in order, so that there are seals."""
    process = subprocess.Popen(
        command(tmp_path), env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually((tmp_path / "control.sock").exists, "the peer listens")
        (tmp_path / "control.sock").unlink()
    finally:
        process.terminate()
        process.wait(30)
    assert (tmp_path / "store" / "seals").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((folder / "store").rglob("*")) if path.is_file()}


def assert_refused(ending: Ending, status: int, *words: str) -> None:
    assert ending.status == status, ending
    [sentence] = [line for line in ending.err.splitlines() if line]
    for word in words:
        assert word in sentence
    assert "Traceback" not in ending.out + ending.err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--edition=sideways", ["--edition", "type-first"]),
        ("--ttl=many", ["--ttl", "whole number"]),
        ("--mc=10.0.0.1:7000", ["10.0.0.1:7000", "multicast group"]),
        ("--protocol-version=3.0", ["--protocol-version", "1.0"]),
        ("--capacity=-5", ["--capacity"]),
        ("--control=here", ["--control"]),
        ("--id=99999999999", ["--id"]),
    ],
)
def test_an_option_that_makes_no_sense_is_named(tmp_path: Path, option: str, words: list[str]) -> None:
    assert_refused(start_in_vain(tmp_path, option), 2, *words)
    assert not (tmp_path / "store").exists()


def test_an_interface_that_is_not_there_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    assert_refused(start_in_vain(tmp_path, "--interface=203.0.113.7"), 1, "203.0.113.7", "--interface")
    assert not (tmp_path / "store").exists()


def test_an_access_point_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_refused(start_in_vain(tmp_path, f"--control={port}"), 1, str(port), "--control")


def test_a_capacity_that_does_not_fit_the_disk_is_refused(tmp_path: Path) -> None:
    assert_refused(start_in_vain(tmp_path, "--capacity=999999999999"), 1, "999,999,999,999", "smaller")
    assert not (tmp_path / "store").exists()


def test_a_second_peer_on_the_same_store_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    first = subprocess.Popen(
        command(tmp_path), env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually((tmp_path / "control.sock").exists, "the peer listens")
        second = start_in_vain(tmp_path, f"--control={tmp_path}/other.sock")
        assert_refused(second, 1, "using the store", "--store")
        assert first.poll() is None
    finally:
        first.terminate()
        first.wait(30)


def test_another_id_for_a_store_is_refused(tmp_path: Path) -> None:
    start_and_stop(tmp_path, "--id=4")
    before = contents(tmp_path)
    assert_refused(start_in_vain(tmp_path, "--id=5"), 1, "belongs to peer 4", "--id")
    assert contents(tmp_path) == before


def test_a_catalog_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    start_and_stop(tmp_path)
    catalog = tmp_path / "store" / "catalog.sqlite"
    with sqlite3.connect(catalog) as connection:
        connection.execute(f"PRAGMA user_version = {CATALOG_SCHEMA.version + 1}")
    connection.close()
    before = contents(tmp_path)
    assert_refused(start_in_vain(tmp_path), 1, "newer", str(catalog))
    assert contents(tmp_path) == before


def test_a_damaged_catalog_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    start_and_stop(tmp_path)
    catalog = tmp_path / "store" / "catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    content[100:3_000] = b"\xff" * 2_900
    catalog.write_bytes(content)
    before = contents(tmp_path)
    assert_refused(start_in_vain(tmp_path), 1, str(catalog), "damaged")
    assert contents(tmp_path) == before
