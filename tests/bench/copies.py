"""What is copied, a file or a folder of files, and whether a copy is one."""

import filecmp
from pathlib import Path

from tests.bench.failure import BenchFailure


def files_of(source: Path) -> tuple[Path, ...]:
    """The file, or all the files of the folder."""
    return tuple(sorted(source.iterdir())) if source.is_dir() else (source,)


def size_of(source: Path) -> int:
    """Bytes of the file, or of all the files of the folder."""
    return sum(path.stat().st_size for path in files_of(source))


def check_copy(source: Path, copy: Path) -> None:
    """BenchFailure unless the copy has the same content: what is fast because it fails isn't fast."""
    for path in files_of(source):
        other = copy / path.relative_to(source) if source.is_dir() else copy
        if not other.exists() or not filecmp.cmp(path, other, shallow=False):
            raise BenchFailure(f"{other} is no copy of {path}")
