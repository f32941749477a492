"""The secret that a peer and its user's commands share: a file that only the user can read (SPEC.md 10.2)."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from random import Random

from peer.control.handshake import SECRET_BYTES
from peer.control.interfaces import ErrorCode, OperationError


def secret_path(environment: Mapping[str, str]) -> Path:
    """Where the user's secret is: `$XDG_CONFIG_HOME/backup-peer/secret`, by default under `~/.config`."""
    # A relative path there is to be ignored, as the XDG Base Directory Specification has it.
    configured = Path(environment.get("XDG_CONFIG_HOME", ""))
    if configured.is_absolute():
        return configured / "backup-peer" / "secret"
    home = Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    return home / ".config" / "backup-peer" / "secret"


def read_secret(path: Path) -> bytes:
    """Read the secret; an OperationError with the code REFUSED says what is wrong with the file."""
    try:
        # O_NONBLOCK: a named pipe in its place must not stop the peer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise _refusal(
            f"there is no secret at {path}: start a peer as this user first, it makes one"
        ) from None
    except OSError as error:
        raise _refusal(f"the secret at {path} can't be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise _refusal(f"{path} is not a file of this user: remove it, the peer makes a new one")
        if status.st_mode & 0o077:
            raise _refusal(
                f"others can read the secret: remove {path} and restart the peers, they make a new one"
            )
        secret = os.read(descriptor, SECRET_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(secret) != SECRET_BYTES:
        raise _refusal(f"{path} holds no secret of {SECRET_BYTES} bytes: remove it, the peer makes a new one")
    return secret


def load_or_make_secret(path: Path, *, random: Random) -> bytes:
    """Read the secret, made first if there is none.

    Peers that start at the same moment end up with the same one. `random` must be fit for secrets:
    SystemRandom.
    """
    if not path.exists():
        try:
            _make(path, random)
        except OSError as error:
            raise _refusal(f"the secret {path} can't be made: {error.strerror}") from None
    return read_secret(path)


def _make(path: Path, random: Random) -> None:
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_name(f"secret.{random.randbytes(8).hex()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(random.randbytes(SECRET_BYTES))
            file.flush()
            os.fsync(descriptor)
        try:
            # Unlike a rename, a link leaves alone what another peer has put there meanwhile.
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()


def _refusal(sentence: str) -> OperationError:
    return OperationError(ErrorCode.REFUSED, sentence)
