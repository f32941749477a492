"""How the protocol scales: one backup in groups of 3 to 100 peers, as the table in docs/scale.md.

``python -m tests.simulation.scale`` writes the file.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

from attrs import define, field, frozen

from peer.config import DEFAULT_GROUPS
from protocol.chunking import chunk_count
from tests.simulation.figures import group_of
from tests.simulation.run import undisturbed
from tests.simulation.workload import Backup, Restore, Write
from tests.support.lan import Datagram

REPORT: Final = Path(__file__).parent.parent.parent / "docs" / "scale.md"
GROUPS: Final = (3, 10, 30, 100)
DEGREES: Final = (1, 2)
FILE_BYTES: Final = 20 * 64_000 - 1
PATH: Final = "/home/film"
CHANNELS: Final = {DEFAULT_GROUPS.mc: "MC", DEFAULT_GROUPS.mdb: "MDB", DEFAULT_GROUPS.mdr: "MDR"}


@define
class Traffic:
    """What was sent on each channel."""

    datagrams: Counter[str] = field(factory=Counter)
    sent_bytes: Counter[str] = field(factory=Counter)

    def note(self, datagram: Datagram) -> None:
        """Count a datagram."""
        channel = CHANNELS[datagram.group]
        self.datagrams[channel] += 1
        self.sent_bytes[channel] += len(datagram.payload)


@frozen
class Row:
    """One run: figures a chunk."""

    peers: int
    degree: int
    backup: Traffic
    restore: Traffic
    copies: float
    seconds: float
    """Until the degree was reached for all of the file."""
    restore_seconds: float
    real_seconds: float


def measure(peers: int, degree: int, seed: int = 1) -> Row:
    """Back a file up, and restore it, in a group of so many peers."""
    began = time.process_time()
    backup, restore = Traffic(), Traffic()
    with undisturbed():
        world, users = group_of(peers, seed)
        Write(1, PATH, Random(seed).randbytes(FILE_BYTES)).act(users)
        world.on_sent.append(backup.note)
        Backup(1, PATH, degree).act(users)
        started = world.clock.seconds()
        world.run(600.0, lambda: not users.pending())
        seconds = world.clock.seconds() - started
        world.run(60.0)
        copies = sum(len(copies.held) for copies in world.facts.copies.values())
        world.on_sent[:] = [restore.note]
        Restore(1, PATH).act(users)
        started = world.clock.seconds()
        world.run(600.0, lambda: not users.pending())
        restore_seconds = world.clock.seconds() - started
        world.run(10.0)
        assert not world.violations, world.violations
        world.bury_the_dead()
    return Row(
        peers=peers,
        degree=degree,
        backup=backup,
        restore=restore,
        copies=copies / chunk_count(FILE_BYTES),
        seconds=seconds,
        restore_seconds=restore_seconds,
        real_seconds=time.process_time() - began,
    )


def table(rows: list[Row]) -> str:
    """The report."""
    chunks = chunk_count(FILE_BYTES)
    lines = [
        "# How it scales",
        "",
        "One peer backs up one file and restores it, in groups of 3 to 100 peers of version 1.0, all with room, in",
        f"the simulator of `tests/simulation/` (`make scale`). The file has {chunks} chunks; the LAN loses nothing",
        "and takes up to half a millisecond. Datagrams and bytes are those sent, for each chunk of the file; a",
        "datagram that is multicast counts once. Times are virtual.",
        "",
        "## Backup",
        "",
        "| peers | degree | copies kept | time to the degree | MC datagrams | MC bytes | MDB datagrams | MDB bytes |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        sent, size = row.backup.datagrams, row.backup.sent_bytes
        lines.append(
            f"| {row.peers} | {row.degree} | {row.copies:.1f} | {row.seconds:.2f} s | {sent['MC'] / chunks:.1f} |"
            f" {size['MC'] / chunks:,.0f} | {sent['MDB'] / chunks:.1f} | {size['MDB'] / chunks:,.0f} |"
        )
    lines += [
        "",
        "In 1.0 every peer that hears a PUTCHUNK and has room keeps the chunk and says so: copies and STOREDs grow",
        "with the group, not with the degree. Version 2.0 has to mend that (SPEC.md 8.2).",
        "",
        "## Restore",
        "",
        "| peers | degree | time | MC datagrams | MC bytes | MDR datagrams | MDR bytes |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        sent, size = row.restore.datagrams, row.restore.sent_bytes
        lines.append(
            f"| {row.peers} | {row.degree} | {row.restore_seconds:.2f} s | {sent['MC'] / chunks:.1f} |"
            f" {size['MC'] / chunks:,.0f} | {sent['MDR'] / chunks:.1f} | {size['MDR'] / chunks:,.0f} |"
        )
    real = ", ".join(f"{row.real_seconds:.1f} s" for row in rows)
    return "\n".join(
        [*lines, "", f"What the runs took of a processor, in the order of the rows: {real}.", ""]
    )


def main() -> int:
    """Measure, and write the report."""
    rows = []
    for peers in GROUPS:
        for degree in DEGREES:
            rows.append(measure(peers, degree))
            print(
                f"{peers} peers, degree {degree}: {rows[-1].real_seconds:.1f} s", file=sys.stderr, flush=True
            )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(table(rows), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
