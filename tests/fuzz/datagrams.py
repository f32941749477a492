"""Coverage-guided fuzzing of the parser: ``python -m tests.fuzz.datagrams [libFuzzer's options]``.

Any bytes give a message or a ProtocolError (SPEC.md 2.15), and a message can be sent and read again. It
starts from the wire vectors, keeps what it finds in tests/fuzz/corpus/, and ends after 60 seconds unless
-max_total_time or -runs says otherwise.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from protocol.codec import parse, serialize
from protocol.errors import ProtocolError
from protocol.limits import MAX_DATAGRAM_BYTES
from protocol.values import Edition
from tests.protocol.vectors import read_vectors

CORPUS = Path(__file__).with_name("corpus")

_BOUNDS = ("-max_total_time=", "-runs=")


def one_input(datagram: bytes) -> None:
    """Fail on anything but a message that survives the way there and back, or a ProtocolError."""
    try:
        message = parse(datagram)
    except ProtocolError:
        return
    for edition in Edition:
        if parse(serialize(message, edition)) != message:
            raise AssertionError(f"{message} is read otherwise than it was sent in {edition}")


def seeds() -> list[bytes]:
    """The datagrams to start from: those of the wire vectors."""
    return [vector.datagram for vector in read_vectors()]


def write_seeds(folder: Path) -> None:
    """Put each seed into a file of its own, named by its digest as libFuzzer names its finds."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def options(arguments: Sequence[str]) -> list[str]:
    """What libFuzzer is started with: the arguments, bounded, and the corpus."""
    bound = [] if any(option.startswith(_BOUNDS) for option in arguments) else ["-max_total_time=60"]
    return [f"-max_len={MAX_DATAGRAM_BYTES}", *bound, *arguments, str(CORPUS)]


def main() -> None:
    """Fuzz until the time is over; exit status 0 if nothing was found."""
    import atheris  # Only here: the tests run `one_input` without it.

    write_seeds(CORPUS)
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *options(sys.argv[1:])], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
