"""What was measured, with all that a report needs of it."""

from collections.abc import Mapping
from typing import Final

from attrs import define, field, frozen

from tests.bench.samples import Samples

FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "backup_mb_s": ("backup", "MB/s"),
    "empty_backup_mb_s": ("the same into empty stores", "MB/s"),
    "backup_seconds": ("backup", "s"),
    "restore_mb_s": ("restore", "MB/s"),
    "files_s": ("files backed up", "files/s"),
    "restore_files_s": ("files restored", "files/s"),
    "sum_mb_s": ("all initiators together", "MB/s"),
    "one_mb_s": ("one initiator with as much in all", "MB/s"),
    "slowest_mb_s": ("slowest initiator", "MB/s"),
    "fastest_mb_s": ("fastest initiator", "MB/s"),
    "met_seconds": ("with as many takers as the degree", "s"),
    "scarce_seconds": ("with one taker too few", "s"),
    "raw_multicast_mb_s": ("raw multicast, nothing lost", "MB/s"),
    "two_stores_write_mb_s": ("two stores writing at once, together", "MB/s"),
    "plain_write_mb_s": ("one plain synced write", "MB/s"),
    "retransmitted": ("PUTCHUNKs sent again", "of all"),
    "rss_mb": ("most memory of any peer", "MB"),
    "perceived_min": ("copies of the worst chunk", ""),
    "below_degree": ("chunks below their degree", ""),
    "failed": ("requests that failed", ""),
    "receive_buffer_bytes": ("smallest receive buffer granted, as Linux counts", "bytes"),
}
"""Every figure by its name in the object that --json prints: what it is, and its unit, in the order of the reports."""


@frozen(kw_only=True)
class Setting:
    """What was done, in the numbers that were chosen for it."""

    scenario: str
    ground: str
    size: int
    """Bytes of each file."""
    files: int = 1
    degree: int
    peers: int
    repeats: int


@define
class Result:
    """The figures of one setting, of us and of others."""

    setting: Setting
    samples: Samples = field(factory=Samples)
    alternatives: dict[str, Samples] = field(factory=dict)
    not_measured: dict[str, str] = field(factory=dict)
    """Why an alternative wasn't, by its name."""
    notes: list[str] = field(factory=list)
    """What a reader of the figures has to know, in sentences."""

    def median(self, figure: str) -> float:
        """The median of a figure that was measured; KeyError for any other."""
        return self.samples[figure].median

    def fastest_alternative(self, figure: str) -> tuple[str, float] | None:
        """The alternative with the highest median of a figure, and that; None if none has it."""
        medians = {
            name: samples[figure].median for name, samples in self.alternatives.items() if figure in samples
        }
        return max(medians.items(), key=lambda item: item[1], default=None)

    def note(self, sentence: str) -> None:
        """Add a sentence, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)
