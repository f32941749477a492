"""The folder of a run: what is measured is written there, and it is gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from attrs import define

from tests.bench.failure import BenchFailure
from tests.bench.options import size_text

_PIECE_BYTES = 1_000_000
_ON_DISK = Path("/var/tmp")
"""Of the folders for temporary files the one that isn't in memory."""


@define
class Workplace:
    """A folder on the disk that is measured."""

    folder: Path
    sockets: Path
    """A short path: that of a Unix socket is bounded."""

    def made_file(self, size: int, *, seed: int = 1) -> Path:
        """A file of so many bytes that can't be compressed, on the disk and in the page cache."""
        path = self.folder / f"file-of-{size}-{seed}.bin"
        if not path.exists():
            random = Random(f"{seed} {size}")
            with path.open("wb") as file:
                for done in range(0, size, _PIECE_BYTES):
                    file.write(random.randbytes(min(_PIECE_BYTES, size - done)))
                os.fsync(file.fileno())
        return path

    def made_files(self, count: int, size: int) -> Path:
        """A folder of so many files of that size."""
        folder = self.folder / f"{count}-files-of-{size}"
        if not folder.exists():
            folder.mkdir()
            random = Random(count)
            for number in range(count):
                (folder / f"{number:06d}.bin").write_bytes(random.randbytes(size))
            sync(folder)
        return folder

    @contextmanager
    def room(self, name: str) -> Iterator[Path]:
        """A folder for one measurement; before it begins, and after it is removed, the disk has nothing left to do."""
        folder = self.folder / name
        folder.mkdir()
        try:
            sync(folder)
            yield folder
        finally:
            shutil.rmtree(folder)
            sync(self.folder)

    def check_space(self, size: int) -> None:
        """BenchFailure unless the disk has room for so many bytes."""
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise BenchFailure(
                f"the disk of {self.folder.parent} has {free / 1e9:.1f} GB free, and {size_text(size)} are needed: "
                "give another folder with --dir, or a smaller --size"
            )


@contextmanager
def workplace(parent: Path | None) -> Iterator[Workplace]:
    """A new folder in `parent`, by default in /var/tmp, removed at the end of the block."""
    with ExitStack() as held:
        base = (parent or _ON_DISK).absolute()
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="backup-peer-bench-", dir=base))
        sockets = held.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        yield Workplace(Path(folder), Path(sockets))


def sync(folder: Path) -> None:
    """Have the whole file system of the folder written to the disk."""
    subprocess.run(["sync", "--file-system", str(folder)], check=True)
