"""make demo's program: it shows the main job, and its exit status says whether the file came back."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.group import eventually, is_alive, made_file
from tools.peer_process import PROJECT

pytestmark = pytest.mark.functional


def demo(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    (folder / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TMPDIR": str(folder / "tmp")}
    command = [sys.executable, "-m", "tools.demo", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.parametrize("size", [None, 640_000])
def test_a_file_is_backed_up_a_holder_is_killed_and_the_file_comes_back(
    tmp_path: Path, size: int | None
) -> None:
    words = [made_file(tmp_path, size, name="photo.jpg").name] if size is not None else []
    done = demo(tmp_path, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "They are equal, byte for byte." in done.stdout
    for shown in (r"BACKUP \S+ 2\n", r"kill -9 \d+\n", r"RESTORE \S+\n", r"STATE\n"):
        assert re.search(shown, done.stdout)
    for process in re.findall(r"^  peer \d+ \S+ (\d+)$", done.stdout, re.MULTILINE):
        eventually(lambda process=process: not is_alive(int(process)), "the peer is gone")  # type: ignore[misc]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_that_is_not_there_is_said_with_status_1(tmp_path: Path) -> None:
    done = demo(tmp_path, "no-such-file")
    assert done.returncode == 1
    assert "no-such-file" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_two_files_are_wrong_usage(tmp_path: Path) -> None:
    assert demo(tmp_path, "a", "b").returncode == 2
