"""What the figures were measured on."""

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from tools.peer_process import PROJECT

_SETTINGS = {
    "rmem_max": Path("/proc/sys/net/core/rmem_max"),
    "wmem_max": Path("/proc/sys/net/core/wmem_max"),
    "ipfrag_high_thresh": Path("/proc/sys/net/ipv4/ipfrag_high_thresh"),
}


def machine_facts(folder: Path) -> dict[str, object]:
    """The machine, what runs on it, the disk of the folder, and the system's limits of buffers in bytes."""
    return {
        "processors": os.cpu_count() or 0,
        "processor": _value_of("model name", Path("/proc/cpuinfo")),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "twisted": version("twisted"),
        "commit": _commit(),
        "file_system": file_system(folder, Path("/proc/self/mounts").read_text().splitlines()),
        "is_root": os.geteuid() == 0,
        **{name: int(path.read_text()) for name, path in _SETTINGS.items() if path.exists()},
    }


def file_system(folder: Path, mounts: Iterable[str]) -> str:
    """Type and device of the file system that the folder is on, by the lines of /proc/mounts."""
    best = ("", "unknown")
    for line in mounts:
        device, mounted_on, kind, *_ = line.split()
        is_above = Path(mounted_on) == folder or Path(mounted_on) in folder.parents
        # Of two on the same folder the later hides the other.
        if is_above and len(mounted_on) >= len(best[0]):
            best = (mounted_on, f"{kind} on {device}")
    return best[1]


def _value_of(key: str, path: Path) -> str:
    for line in path.read_text().splitlines() if path.exists() else []:
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
