"""The checks say what SPEC.md says, and each is made by some probe."""

import re
from pathlib import Path

import pytest

from tools.conform.checks import SECTIONS, Check
from tools.conform.manners import CHECKS as MANNERS
from tools.conform.plan import STAYS, Scope, stages

SPEC = (Path(__file__).resolve().parents[3] / "SPEC.md").read_text(encoding="utf-8")

ALL_CHECKS = sorted(
    {
        *MANNERS,
        STAYS,
        *(
            check
            for is_quick in (False, True)
            for stage in stages(Scope(is_quick=is_quick))
            for probe in stage
            for check in probe.checks
        ),
    },
    key=lambda check: check.order,
)


def rule(number: str) -> str:
    """The text of a rule."""
    found = re.search(
        rf"^\*\*{re.escape(number)}\*\* .*?(?=^\*\*\d+\.\d+\*\*|^##|\Z)", SPEC, re.DOTALL | re.M
    )
    assert found is not None, f"SPEC.md has no rule {number}"
    return found[0]


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: f"{check.rule} {check.says}")
def test_a_check_is_ours_just_as_its_rule_is(check: Check) -> None:
    """What SPEC.md marks as Ours from its first word to its last must not be held against others."""
    text = rule(check.rule)
    if re.search(r"\*Ours\.\*", text):
        assert check.is_ours
    elif not re.search(r"\*ours\*|\*Ours, but", text):
        assert not check.is_ours


def test_no_two_checks_say_the_same() -> None:
    said = [check.says for check in ALL_CHECKS]
    assert sorted(set(said)) == sorted(said)


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_have_their_titles(section: int) -> None:
    assert f"\n## {section}. {SECTIONS[section]}\n" in SPEC


def test_a_quick_run_knows_the_same_checks() -> None:
    def checks(scope: Scope) -> set[Check]:
        return {check for stage in stages(scope) for probe in stage for check in probe.checks}

    assert checks(Scope(is_quick=True)) == checks(Scope())
