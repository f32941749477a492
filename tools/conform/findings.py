"""What was found about each check, and the datagrams that show it."""

from collections.abc import Iterable, Sequence
from enum import Enum

from attrs import define, field

from tools.conform.checks import Check
from tools.conform.wire import Entry

MAX_EVIDENCE = 24
"""Datagrams kept for one finding: what they show can be seen in these."""


class Verdict(Enum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    ADVICE = "advice"
    """It failed, but the check is *ours*: whoever wants to be as good as SPEC.md asks might mend it."""
    NOT_REACHED = "not reached"
    """Nothing was found out, for the reason given."""


@define
class Finding:
    """What is known about one check."""

    check: Check
    is_broken: bool = False
    passes: int = 0
    why: str = ""
    """What was wrong, or why nothing was found out; for a pass what was measured, if anything was."""
    evidence: tuple[Entry, ...] = ()

    def verdict(self, *, ours_binds: bool) -> Verdict:
        """What came of it; `ours_binds`: rules that SPEC.md marks *Ours* count as the others."""
        if self.is_broken:
            return Verdict.ADVICE if self.check.is_ours and not ours_binds else Verdict.FAILED
        return Verdict.PASSED if self.passes else Verdict.NOT_REACHED


@define
class Findings:
    """All that was found. A check is broken once it failed, and passed if it never failed and passed once."""

    _findings: dict[Check, Finding] = field(factory=dict)

    def declare(self, checks: Iterable[Check]) -> None:
        """Tell of checks that are to be found out about."""
        for check in checks:
            self._findings.setdefault(check, Finding(check))

    def passed(self, check: Check, evidence: Sequence[Entry] = (), measured: str = "") -> None:
        """It did right."""
        finding = self._findings[check]
        finding.passes += 1
        if not finding.is_broken and (finding.passes == 1 or measured):
            finding.why, finding.evidence = measured, _cut(evidence)

    def failed(self, check: Check, why: str, evidence: Sequence[Entry] = ()) -> None:
        """It did wrong."""
        finding = self._findings[check]
        if not finding.is_broken:
            finding.is_broken, finding.why, finding.evidence = True, why, _cut(evidence)

    def judge(self, check: Check, is_right: bool, why: str, evidence: Sequence[Entry] = ()) -> bool:
        """It did right, or else wrong, and why; gives `is_right` back."""
        if is_right:
            self.passed(check, evidence)
        else:
            self.failed(check, why, evidence)
        return is_right

    def not_reached(self, checks: Iterable[Check], why: str) -> None:
        """Nothing could be found out, unless something was."""
        for check in checks:
            finding = self._findings[check]
            if not finding.is_broken and not finding.passes:
                finding.why = finding.why or why

    def all(self) -> list[Finding]:
        """Every finding, in the order of SPEC.md."""
        return sorted(self._findings.values(), key=lambda finding: finding.check.order)


def _cut(evidence: Sequence[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(evidence, key=lambda entry: entry.number)[:MAX_EVIDENCE])
