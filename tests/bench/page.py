"""docs/performance.md: the part of it that a run writes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from tests.bench.report import figure_rows, number_text, title, verdict_text
from tests.bench.result import Result
from tests.bench.targets import judged

BEGIN: Final = "<!-- measured: written by `make bench ARGS='--scenario all --write'`, not by hand -->"
END: Final = "<!-- end of what was measured -->"

_NEW_PAGE: Final = f"""\
# Performance

How fast backups and restores are, beside what the network, the disk and other programs reach on the same machine.
`make bench` measures it; `make bench ARGS=--help` tells what can be chosen.

{BEGIN}
{END}
"""

_MEANING: Final = """\
### What the figures mean

MB are 10^6 bytes. A figure is a median, with the smallest and the largest in brackets. The machine is one for all
peers: they share its processors and its disk, so a group of computers does better, and only what was measured in the
same run can be compared.

- **backup**: from asking over the control connection to the answer. Then every chunk has been synced by as many
  holders as the degree before each said STORED, after its delay of 0 to 400 ms.
- **restore**: the same; the file is synced, and its content was compared with the original.
- **raw multicast, nothing lost**: a plain sender and a plain receiver for each holder, with the buffers that the peers
  ask for: the highest rate at which every receiver gets every datagram. Nothing is checked, kept or answered.
- **two stores writing at once**: the MB/s of both together, by the store that a peer uses, digests and syncs included,
  without any network. A backup at degree 2 on one disk can't be faster than half of it.
- **one plain synced write**: a copy of the file by `write` and one `fsync`: what a restore ends with at best.
- **PUTCHUNKs sent again**: the share of all PUTCHUNKs that repeat an earlier one, counted on the wire.
- **memory**: the most that the process of any peer has had resident (VmHWM), 10^6 bytes.
- **receive buffer granted**: as Linux counts it, which is twice what was asked for.
- The **others** make as many copies of the same file, and end with their bytes on the disk too. rsync copies to a
  daemon for each holder at once. uftp multicasts to as many receivers, at the better of two rates, or at 95 % of a
  shaped link. restic writes to as many repositories in folders. Tahoe-LAFS needs any one of as many shares.
- On the **bridge**, each peer is in a network namespace of its own, and datagrams are sent in 44 fragments. Segments
  of TCP cross such a bridge unsegmented, so rsync is cheaper on it than on any cable; the **shaped** link, by tc's tbf
  on what the initiator sends, shows what a cable of that rate does.
- A **target** is that of the issue that asked for this speed. Where it names a share of a ceiling, the ceiling is the
  one of the same run."""


def rewritten(
    page: str | None,
    results: Sequence[Result],
    machine: Mapping[str, object],
    failures: Mapping[str, str],
) -> str:
    """The page with the results in place of those that it has; the rest of it stays. None: there is none yet.

    ValueError if the page has lost the marks between which they stand.
    """
    return between_marks(page or _NEW_PAGE, BEGIN, END, _lines(results, machine, failures))


def between_marks(page: str, begin: str, end: str, lines: Iterable[str]) -> str:
    """The page with these lines in place of those between the marks. ValueError if it has lost the marks."""
    before, first_mark, rest = page.partition(begin)
    _old, last_mark, after = rest.partition(end)
    if not first_mark or not last_mark:
        raise ValueError(f"the page has no lines {begin} and {end}")
    return f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}"


def _lines(
    results: Sequence[Result], machine: Mapping[str, object], failures: Mapping[str, str]
) -> Iterator[str]:
    yield "## Measured"
    yield ""
    yield from _machine(machine)
    yield ""
    yield "### Targets"
    yield ""
    yield "| scenario | work | measured | aim | floor | |"
    yield "|---|---|---|---|---|---|"
    for result in results:
        for verdict in judged(result):
            yield (
                f"| {_short(result)} | {verdict.work} | {number_text(verdict.measured)} {verdict.unit} "
                f"| {number_text(verdict.aim)} | {number_text(verdict.floor) if verdict.floor else '–'} "
                f"| {verdict_text(verdict)} |"
            )
    for name, sentence in failures.items():
        yield ""
        yield f"{name} could not be measured: {sentence}"
    yield ""
    yield "### Figures"
    for result in results:
        yield ""
        yield from _table(result)
    yield ""
    yield _MEANING


def _machine(machine: Mapping[str, object]) -> Iterator[str]:
    yield (
        "{processors} processors ({processor}), {memory_mb:,} MB of memory, {file_system}, {system}, "
        "Python {python}, Twisted {twisted}.".format(**machine)
    )
    limits = [
        f"{name} {machine[name]:,}"
        for name in ("rmem_max", "wmem_max", "ipfrag_high_thresh")
        if name in machine
    ]
    privilege = "with the privilege to go beyond them" if machine["is_root"] else "without privilege"
    yield f"The system's limits, in bytes: {', '.join(limits)}; run {privilege}."
    yield f"Commit {machine['commit']}; the machine's load before the run was {machine['load_before']}."


def _table(result: Result) -> Iterator[str]:
    yield f"**{title(result.setting)}**"
    yield ""
    yield "| what | figure | |"
    yield "|---|---|---|"
    for what, figure, unit in figure_rows(result.samples):
        yield f"| {what} | {figure} | {unit} |"
    for name, samples in result.alternatives.items():
        for what, figure, unit in figure_rows(samples):
            yield f"| {name}: {what} | {figure} | {unit} |"
    for name, reason in result.not_measured.items():
        yield f"| {name} | {reason} | |"
    for sentence in result.notes:
        yield ""
        yield sentence


def _short(result: Result) -> str:
    return f"{result.setting.scenario}, degree {result.setting.degree}"
