"""The secret is the user's alone, and all peers of a user end up with the same one (SPEC.md 10.2)."""

import os
import stat
from pathlib import Path
from random import Random

import pytest

from peer.control.interfaces import ErrorCode, OperationError
from peer.control.secret import load_or_make_secret, read_secret, secret_path


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"XDG_CONFIG_HOME": "/cfg", "HOME": "/home/ada"}, "/cfg/backup-peer/secret"),
        ({"HOME": "/home/ada"}, "/home/ada/.config/backup-peer/secret"),
        ({"XDG_CONFIG_HOME": "", "HOME": "/home/ada"}, "/home/ada/.config/backup-peer/secret"),
        ({"XDG_CONFIG_HOME": "cfg", "HOME": "/home/ada"}, "/home/ada/.config/backup-peer/secret"),
    ],
)
def test_the_secret_is_in_the_user_s_configuration_folder(environment: dict[str, str], path: str) -> None:
    assert secret_path(environment) == Path(path)


def test_the_first_peer_makes_it_for_the_user_alone_and_the_next_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "config" / "backup-peer" / "secret"
    secret = load_or_make_secret(path, random=Random(1))
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_make_secret(path, random=Random(2)) == secret == read_secret(path)
    assert os.listdir(path.parent) == ["secret"]


def test_of_two_that_make_it_at_the_same_moment_the_later_takes_the_earlier_s(tmp_path: Path) -> None:
    path = tmp_path / "backup-peer" / "secret"

    class SlowRandom(Random):
        """While this peer draws, another has made the secret."""

        def randbytes(self, n: int) -> bytes:
            if n == 32 and not path.exists():
                load_or_make_secret(path, random=Random(1))
            return super().randbytes(n)

    secret = load_or_make_secret(path, random=SlowRandom(2))
    assert secret == read_secret(path) == load_or_make_secret(tmp_path / "b" / "secret", random=Random(1))
    assert os.listdir(path.parent) == ["secret"]


def refusal(path: Path) -> str:
    with pytest.raises(OperationError) as caught:
        load_or_make_secret(path, random=Random(1))
    assert caught.value.code is ErrorCode.REFUSED
    return caught.value.sentence


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_secret_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(bytes(32))
    path.chmod(mode)
    assert "others can" in refusal(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    assert "32 bytes" in refusal(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert "not a file of this user" in refusal(tmp_path / "folder")
    assert "not a file of this user" in refusal(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_secret_that_another_user_owns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    load_or_make_secret(path, random=Random(1))
    os.chown(path, 12345, 12345)
    assert "not a file of this user" in refusal(path)


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "can't be made" in refusal(tmp_path / "file" / "backup-peer" / "secret")


def test_a_command_never_makes_one(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="start a peer"):
        read_secret(tmp_path / "secret")
    assert os.listdir(tmp_path) == []
