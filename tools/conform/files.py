"""Files for the peer to back up: each has bytes that nobody else has, by which its chunks are told."""

from pathlib import Path
from random import Random

from attrs import define, field, frozen

from protocol.values import CHUNK_SIZE


@frozen
class MadeFile:
    """A file as it was written."""

    path: Path
    content: bytes

    @property
    def chunks(self) -> list[bytes]:
        """What SPEC.md 1.6 makes of it: 64,000 bytes each, and a last one that is shorter."""
        count = len(self.content) // CHUNK_SIZE + 1
        return [self.content[number * CHUNK_SIZE : (number + 1) * CHUNK_SIZE] for number in range(count)]


@define
class Folder:
    """Where files are made for the peer to read: the door to the disk."""

    path: Path
    random: Random
    made: dict[Path, None] = field(factory=dict)
    """The files made so far."""

    def make(self, name: str, size: int) -> MadeFile:
        """Write a file of random bytes, in place of one of that name."""
        file = MadeFile(self.path / name, self.random.randbytes(size))
        self.made[file.path] = None
        self.write(file.path, file.content)
        return file

    def write(self, path: Path, content: bytes) -> None:
        """Write a file."""
        path.write_bytes(content)

    def read(self, path: Path) -> bytes | None:
        """What is in a file; None if there is none."""
        try:
            return path.read_bytes()
        except OSError:
            return None
