"""The main job before the user's eyes: back a file up, lose one of its holders, get the file back.

    python -m tools.demo [FILE]

Three peers run on this machine alone for as long as it takes. The exit status is 0 only if what was restored is
what was backed up, byte for byte.
"""

import filecmp
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from attrs import frozen

from tools.peer_process import PROJECT
from tools.tied import tied

USAGE = "usage: python -m tools.demo [FILE]"
MADE_BYTES = 3_100_000
STOP_SECONDS = 30.0


class DemoFailure(Exception):
    """The demonstration has come to no good end; says why."""


@frozen
class LocalPeer:
    """A peer of the local group, as tools.lan tells of it."""

    peer_id: int
    access_point: str
    process_id: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it all; 0 if the file came back as it was."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in ("-h", "--help"):
        print(f"{USAGE}\n\nExample: python -m tools.demo ~/photo.jpg")
        return 0
    if len(words) > 1 or any(word.startswith("-") for word in words):
        print(USAGE, file=sys.stderr)
        return 2
    # So that an end by the system, too, stops the peers and removes the folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="backup-peer-demo-") as folder:
            # The peers of a demonstration have a secret of their own, and leave none in the user's configuration.
            environment = os.environ | {"XDG_CONFIG_HOME": f"{folder}/config"}
            file = Path(words[0]).absolute() if words else _made_file(Path(folder))
            with _local_group(Path(folder) / "group", environment) as peers:
                _show(file, peers, environment)
    except DemoFailure as failure:
        _say(f"The demonstration failed: {failure}")
        return 1
    except KeyboardInterrupt:
        _say("Interrupted; the peers are stopped.")
        return 130
    _say("The peers are stopped, and all that they kept is removed.")
    return 0


def _show(file: Path, peers: Sequence[LocalPeer], environment: Mapping[str, str]) -> None:
    home, *others = peers
    _step(2, f"The home peer, peer {home.peer_id}, backs up {file}: each chunk is to be on 2 other peers.")
    _testapp(environment, home, "BACKUP", str(file), "2")
    before = _digest(file)

    holder, held = max(
        ((peer, _stored_chunks(environment, peer)) for peer in others), key=lambda pair: pair[1]
    )
    if not held:
        raise DemoFailure("no other peer stores a chunk of it.")
    _step(3, f"Peer {holder.peer_id}, which stores {held} chunks of it, loses its power.")
    print(f"  $ kill -9 {holder.process_id}", flush=True)
    os.kill(holder.process_id, signal.SIGKILL)

    _step(4, "The home peer restores the file from the peers that are left.")
    restored = Path(json.loads(_testapp(environment, home, "RESTORE", str(file), as_json=True))["path"])

    _step(5, "What came back is compared with what was backed up.")
    print(f"  {before}  {file}\n  {_digest(restored)}  {restored}", flush=True)
    if not filecmp.cmp(file, restored, shallow=False):
        raise DemoFailure("the restored file is not the one that was backed up.")
    print("  They are equal, byte for byte.", flush=True)

    _step(6, "This is what the home peer knows, and what a peer that is left stores for it.")
    for peer in [home, *(peer for peer in others if peer != holder)][:2]:
        _testapp(environment, peer, "STATE")


@contextmanager
def _local_group(folder: Path, environment: Mapping[str, str]) -> Iterator[list[LocalPeer]]:
    _step(1, "Three peers start on this machine, in a group of their own that no other machine hears.")
    command = ["python", "-m", "tools.lan", "--peers", "3", "--dir", str(folder)]
    print(f"  $ {shlex.join(command)}", flush=True)
    # A session of its own: Ctrl-C is for us alone, who then stop the peers.
    lan = subprocess.Popen(
        tied([sys.executable, *command[1:]]),
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert lan.stdout is not None
        assert lan.stderr is not None
        lines = [lan.stdout.readline().split() for _ in range(3)]
        if not all(lines):
            raise DemoFailure(f"the peers don't start. {lan.stderr.read().strip()}")
        for words in lines:
            print("  " + " ".join(words), flush=True)
        yield [LocalPeer(int(peer), access_point, int(process)) for _, peer, access_point, process in lines]
    finally:
        lan.terminate()
        try:
            lan.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # The peers go with it.
            lan.kill()
            lan.communicate()


def _testapp(
    environment: Mapping[str, str],
    peer: LocalPeer,
    *request: str,
    as_json: bool = False,
    is_shown: bool = True,
) -> str:
    """Have `peer` do something, before the user's eyes; give what was printed."""
    arguments = [*(["--json"] if as_json else []), peer.access_point, *request]
    if is_shown:
        print(f"  $ testapp {shlex.join(arguments)}", flush=True)
    command = [sys.executable, "-m", "tools.testapp", *arguments]
    # Standard error is the user's: progress is drawn there, and what went wrong is said.
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if is_shown:
        print(textwrap.indent(done.stdout.rstrip("\n"), "  "), flush=True)
    if done.returncode != 0:
        raise DemoFailure(f"testapp ended with status {done.returncode}.")
    return done.stdout


def _stored_chunks(environment: Mapping[str, str], peer: LocalPeer) -> int:
    state: dict[str, Any] = json.loads(_testapp(environment, peer, "STATE", as_json=True, is_shown=False))
    return len(state["chunks"])


def _made_file(folder: Path) -> Path:
    file = folder / "example.bin"
    file.write_bytes(Random(1).randbytes(MADE_BYTES))
    return file


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _step(number: int, sentence: str) -> None:
    print(f"\n{number}. {sentence}", flush=True)


def _say(sentence: str) -> None:
    print(f"\n{sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
