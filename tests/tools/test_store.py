"""The command that looks after a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from protocol.values import PeerId
from storage.disk import PosixDisk
from storage.opening import OpenStorage, open_storage
from tests.storage.examples import a_chunk, chunk_id
from tests.support.slots import slot_of
from tools.store import main


def start(store: Path) -> OpenStorage:
    return open_storage(
        PosixDisk(), str(store), peer_id=None, draw_peer_id=lambda: PeerId(7), capacity_bytes=1_000_000
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a closed store with two chunks."""
    storage = start(tmp_path / "store")
    storage.store.put([a_chunk("a"), a_chunk("b")])
    storage.close()
    return tmp_path / "store"


def damage(store: Path) -> None:
    slot = slot_of(PosixDisk(), str(store), chunk_id("a"))
    with Path(slot.path).open("r+b") as file:
        file.seek(slot.offset + slot.length - 1)
        file.write(b"?")


def test_a_whole_store(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(store)]) == 0
    assert capsys.readouterr().out == (
        "2 chunks, 16 bytes: whole and where the index says.\nNothing is wrong.\n"
    )


def test_a_damaged_one_gives_exit_status_1(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SPEC.md 9.28."""
    damage(store)
    assert main(["check", str(store)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert "is damaged: its body isn't what it was" in out[0]
    assert out[1:] == ["1 chunk, 8 bytes: whole and where the index says.", "1 thing wrong."]


def test_one_without_an_index_is_not_said_to_be_where_that_says(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SPEC.md 9.28."""
    (store / "index.sqlite").unlink()
    assert main(["check", str(store)]) == 1
    assert "2 chunks, 16 bytes: whole; no index says which should be there." in capsys.readouterr().out


def test_an_index_made_anew(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SPEC.md 9.26."""
    damage(store)
    (store / "index.sqlite").unlink()
    assert main(["rebuild", str(store)]) == 0
    out = capsys.readouterr().out
    assert "Found 1 chunk of 1 file, 8 bytes." in out
    assert "1 slot held no whole chunk" in out
    assert "The capacity is lost" in out
    storage = start(store)
    assert storage.store.unconfirmed(None, 9) == [chunk_id("b")]
    storage.close()
    assert main(["check", str(store)]) == 0


@pytest.mark.parametrize("command", ["check", "rebuild"])
def test_what_cannot_be_done_is_one_sentence(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    storage = start(store)
    for folder, said in ((store, "is using the store"), (tmp_path / "none", "holds no store")):
        assert main([command, str(folder)]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("tools.store: ")
        assert said in captured.err
        assert len(captured.err.splitlines()) == 1
    storage.close()


@pytest.mark.parametrize("arguments", [[], ["mend", "/store"], ["check"]])
def test_wrong_usage_gives_exit_status_2(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.store", *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "usage: python -m tools.store" in ran.stderr
