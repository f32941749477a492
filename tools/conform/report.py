"""The findings as text, as JSON, and as JUnit XML."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from xml.etree import ElementTree

from protocol.errors import ProtocolError
from tools.conform.checks import SECTIONS
from tools.conform.findings import Finding, Verdict
from tools.conform.session import Outcome
from tools.conform.wire import Entry

SHOWN = 8
"""Datagrams shown in the text below a finding; JSON has more of them."""

MARKS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "FAILED",
    Verdict.ADVICE: "advice",
    Verdict.NOT_REACHED: "not reached",
}


def is_broken(outcome: Outcome) -> bool:
    """Whether a rule that binds is broken."""
    return any(
        finding.verdict(ours_binds=outcome.ours_binds) is Verdict.FAILED for finding in outcome.findings.all()
    )


def as_text(outcome: Outcome, *, shows_all: bool) -> Iterator[str]:
    """The lines of the report; `shows_all`: also the datagrams of what passed."""
    yield (
        f"Peer {outcome.subject}, {outcome.edition.value}, on {outcome.groups.mc}, {outcome.groups.mdb} and "
        f"{outcome.groups.mdr}; {outcome.seconds:.0f} s"
    )
    for section, findings in groupby(outcome.findings.all(), key=lambda finding: finding.check.section):
        yield ""
        yield f"{section}. {SECTIONS[section]}"
        for finding in findings:
            yield from _finding_text(finding, outcome, shows_all=shows_all)
    yield ""
    yield "What it sent"
    for form, count in outcome.forms.items():
        yield f"  {count:>7,}  {form}"
    yield ""
    totals = _totals(outcome)
    yield (
        ", ".join(f"{totals[verdict]} {verdict.value}" for verdict in Verdict)
        + " of "
        + (f"{sum(totals.values())} checks")
    )


def as_object(outcome: Outcome) -> dict[str, object]:
    """The report for JSON."""
    totals = _totals(outcome)
    return {
        "peer": outcome.subject,
        "edition": outcome.edition.value,
        "groups": {
            "MC": str(outcome.groups.mc),
            "MDB": str(outcome.groups.mdb),
            "MDR": str(outcome.groups.mdr),
        },
        "seconds": round(outcome.seconds, 1),
        "harsh": outcome.scope.is_harsh,
        "quick": outcome.scope.is_quick,
        "ours": outcome.ours_binds,
        "totals": {verdict.value: totals[verdict] for verdict in Verdict},
        "rules": [
            {
                "rule": rule,
                "verdict": _worst(findings := list(group), outcome).value,
                "checks": [_finding_object(finding, outcome) for finding in findings],
            }
            for rule, group in groupby(outcome.findings.all(), key=lambda finding: finding.check.rule)
        ],
        "sent": outcome.forms,
    }


def as_junit(outcome: Outcome) -> str:
    """The report as JUnit XML: a case for each check, in a class for each section."""
    totals = _totals(outcome)
    suite = ElementTree.Element(
        "testsuite",
        name="tools.conform",
        tests=str(sum(totals.values())),
        failures=str(totals[Verdict.FAILED]),
        errors="0",
        skipped=str(totals[Verdict.ADVICE] + totals[Verdict.NOT_REACHED]),
        time=f"{outcome.seconds:.3f}",
    )
    for finding in outcome.findings.all():
        check = finding.check
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"SPEC.md section {check.section}",
            name=f"{check.rule} {check.says}",
            time="0",
        )
        verdict = finding.verdict(ours_binds=outcome.ours_binds)
        if verdict is Verdict.FAILED:
            failure = ElementTree.SubElement(case, "failure", message=_xml(finding.why))
            failure.text = _xml("\n".join(_datagram_text(entry) for entry in finding.evidence))
        elif verdict is not Verdict.PASSED:
            ElementTree.SubElement(case, "skipped", message=_xml(f"{verdict.value}: {finding.why}"))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _finding_text(finding: Finding, outcome: Outcome, *, shows_all: bool) -> Iterator[str]:
    verdict = finding.verdict(ours_binds=outcome.ours_binds)
    ours = " (ours)" if finding.check.is_ours else ""
    yield f"  {MARKS[verdict]:<11}  {finding.check.rule:<5} {finding.check.says}{ours}"
    if finding.why:
        yield f"               {finding.why}"
    if shows_all or verdict in (Verdict.FAILED, Verdict.ADVICE):
        for entry in finding.evidence[:SHOWN]:
            yield f"               {_datagram_text(entry)}"
        if len(finding.evidence) > SHOWN:
            yield f"               and {len(finding.evidence) - SHOWN} more"


def _datagram_text(entry: Entry) -> str:
    """One datagram: when, from whom, where, its header byte for byte, and how long its body is."""
    who = "probe" if entry.is_sent else "peer "
    text = f"{entry.at:8.3f} {who} {entry.group:<3} {_header(entry)}"
    return f"{text} + {entry.body_bytes:,} bytes" if entry.body_bytes else text


def _header(entry: Entry) -> str:
    return entry.header.decode("ascii", "backslashreplace").replace("\r", "\\r").replace("\n", "\\n")


def _finding_object(finding: Finding, outcome: Outcome) -> dict[str, object]:
    return {
        "says": finding.check.says,
        "ours": finding.check.is_ours,
        "verdict": finding.verdict(ours_binds=outcome.ours_binds).value,
        "why": finding.why,
        "datagrams": [_datagram_object(entry) for entry in finding.evidence],
    }


def _datagram_object(entry: Entry) -> dict[str, object]:
    content = entry.content
    return {
        "seconds": round(entry.at, 6),
        "from": "probe" if entry.is_sent else "peer",
        "group": entry.group,
        "address": f"{entry.source[0]}:{entry.source[1]}",
        "header": entry.header.decode("latin-1"),
        "body_bytes": entry.body_bytes,
        "malformed": content.reason.value if isinstance(content, ProtocolError) else None,
    }


def _worst(findings: list[Finding], outcome: Outcome) -> Verdict:
    verdicts = {finding.verdict(ours_binds=outcome.ours_binds) for finding in findings}
    order = (Verdict.FAILED, Verdict.ADVICE, Verdict.PASSED, Verdict.NOT_REACHED)
    return next(verdict for verdict in order if verdict in verdicts)


def _totals(outcome: Outcome) -> Counter[Verdict]:
    return Counter(finding.verdict(ours_binds=outcome.ours_binds) for finding in outcome.findings.all())


def _xml(text: str) -> str:
    """The text without what XML can't hold."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text
    )
