"""SPEC.md is whole: its rules can be cited, its grammar runs, and what it says of the code is so."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from attrs import fields

from peer import tap
from peer.config import DEFAULT_GROUPS
from peer.control import commands, connection, interfaces, progress, server
from peer.errors import ErrorCode
from protocol import flow, limits, losses, queues, timing
from protocol.errors import DropReason
from storage import capacity
from tests.protocol.vectors import read_vectors
from tests.support.abnf import AbnfError, Grammar

CHECKOUT = Path(__file__).resolve().parent.parent
SPEC = (CHECKOUT / "SPEC.md").read_text(encoding="utf-8")

# What the grammar of 2.4 can't say: the largest sender id, and that a body may have gone another way.
BEYOND_GRAMMAR = {DropReason.BAD_SENDER_ID, DropReason.BODY_ELSEWHERE}


def section(number: str) -> str:
    """The text of a section or an appendix, its title included."""
    found = re.search(rf"^## (?:Appendix )?{number}\. .*?(?=^## |\Z)", SPEC, re.DOTALL | re.MULTILINE)
    assert found is not None, number
    return found[0]


def rules(text: str) -> list[str]:
    """The numbers of the rules that a text gives, in its order."""
    return re.findall(r"^\*\*([0-9A-Z]+\.\d+)\*\*", text, re.MULTILINE)


def rule(number: str) -> str:
    """The text from a rule up to the next one."""
    found = re.search(
        rf"^\*\*{re.escape(number)}\*\* .*?(?=^\*\*[0-9A-Z]+\.\d+\*\*|^##|\Z)", SPEC, re.DOTALL | re.MULTILINE
    )
    assert found is not None, number
    return found[0]


def prose(text: str) -> str:
    """A text without what stands in its fences and in code."""
    return re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def references(text: str) -> set[str]:
    """The rules that SPEC.md cites itself: numbers such as 3.12, but no version, time or address."""
    numbers = re.findall(
        r"(?<![\w.,])(?<!version )([1-9]\d?\.[1-9]\d?)(?![\d.]|,\d| (?:s|ms|MB)\b)", prose(text)
    )
    return set(numbers)


def grammar() -> Grammar:
    """The grammar of a datagram."""
    (text,) = re.findall(r"^```abnf\n(.*?)^```$", SPEC, re.DOTALL | re.MULTILINE)
    return Grammar(text)


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in a text, but for their titles."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip().removeprefix("`").removesuffix("`") for cell in line.strip("|").split("|")]


def constants(*modules: ModuleType) -> dict[str, object]:
    """The numbers that modules define in capitals, by name."""
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if re.fullmatch(r"[A-Z][A-Z_]*", name) and isinstance(value, int | float | tuple)
    }


def stated(number: str) -> dict[str, tuple[float, ...]]:
    """The constants that a rule's table states: what is in brackets behind a value explains it."""
    return {
        name: tuple(float(part) for part in re.sub(r"\(.*\)|(?<=\d),(?=\d)", "", value).split(","))
        for name, value, *_ in rows(rule(number))
    }


def as_stated(values: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    return {name: value if isinstance(value := values[name], tuple) else (value,) for name in names}


class TestNumbers:
    def test_the_sections_are_those_of_the_protocol_and_ours_in_order(self) -> None:
        titles = re.findall(r"^## (?:Appendix )?(\w+)\. ", SPEC, re.MULTILINE)
        assert titles == [*map(str, range(1, 14)), "A", "B"]

    @pytest.mark.parametrize("number", [*map(str, range(1, 14)), "A"])
    def test_the_rules_of_a_section_count_up_without_a_gap(self, number: str) -> None:
        found = rules(section(number))
        assert found == [f"{number}.{place}" for place in range(1, len(found) + 1)]
        assert found

    def test_every_rule_is_in_its_section(self) -> None:
        assert rules(SPEC) == [found for n in [*map(str, range(1, 14)), "A"] for found in rules(section(n))]

    def test_what_the_document_cites_of_itself_exists(self) -> None:
        assert references(SPEC) - set(rules(SPEC)) == set()

    @pytest.mark.parametrize("suffix", ["md", "sql", "cfg", "toml"])
    def test_what_other_texts_cite_of_it_exists(self, suffix: str) -> None:
        """What the Python files cite is looked at by tests/test_house.py."""
        folders = ("", "peer/**/", "protocol/**/", "storage/**/", "tools/**/", "newsfragments/")
        paths = {path for folder in folders for path in CHECKOUT.glob(f"{folder}*.{suffix}")}
        cited = {
            number
            for path in paths - {CHECKOUT / "SPEC.md"}
            for number in re.findall(r"SPEC\.md (\d+\.\d+)", path.read_text(encoding="utf-8"))
        }
        assert cited - set(rules(SPEC)) == set()

    def test_a_reference_is_told_from_a_version_a_time_and_an_address(self) -> None:
        text = "as 3.12 and 4.8, 0.8 s, 1.5 s, 239.192.7.1, 1,000.5, version 1.1, `7.7`, 2.0 and (6.2)"
        assert references(text) == {"3.12", "4.8", "6.2"}


class TestGrammar:
    """SPEC.md 2.4, run."""

    def test_it_describes_every_vector_that_is_accepted_and_none_that_is_dropped(self) -> None:
        message = grammar().pattern("message")
        for vector in read_vectors():
            is_described = message.fullmatch(vector.datagram) is not None
            if vector.outcome not in BEYOND_GRAMMAR:
                assert is_described == (not isinstance(vector.outcome, DropReason)), vector.name

    def test_every_rule_of_it_is_needed(self) -> None:
        read = grammar()
        read.pattern("message")
        assert read.unused() == set()

    @pytest.mark.parametrize(
        ("text", "matching", "others"),
        [
            ('a = 1*2DIGIT "x"', [b"1x", b"12X"], [b"x", b"123x", b"1"]),
            ("a = %x50.55 / b\nb = 2%x30-31\n    SP", [b"PU", b"01 "], [b"pu", b"0 ", b"02 "]),
            ("a = *%x41 ; a comment\n\n", [b"", b"AA"], [b"a"]),
        ],
    )
    def test_abnf_means_what_the_rfc_says(
        self, text: str, matching: list[bytes], others: list[bytes]
    ) -> None:
        pattern = Grammar(text).pattern("a")
        assert [datagram for datagram in [*matching, *others] if pattern.fullmatch(datagram)] == matching

    @pytest.mark.parametrize("text", ["a = b", "a = a", "a = (b)", "a", "a = DIGIT\na = SP"])
    def test_what_is_no_grammar_is_an_error(self, text: str) -> None:
        with pytest.raises(AbnfError):
            Grammar(text).pattern("a")


class TestTables:
    def test_every_reason_for_a_drop_is_told(self) -> None:
        """SPEC.md 2.18."""
        assert [row[0] for row in rows(rule("2.18"))] == [reason.name for reason in DropReason]
        assert {reason.value for reason in DropReason} == {
            reason.name.lower().replace("_", "-") for reason in DropReason
        }

    def test_the_default_groups_are_those_of_the_code(self) -> None:
        """SPEC.md 2.14."""
        told = [f"{address}:{port}" for _, address, port in rows(rule("2.14"))]
        assert told == [str(DEFAULT_GROUPS.mc), str(DEFAULT_GROUPS.mdb), str(DEFAULT_GROUPS.mdr)]

    def test_every_option_of_the_peer_is_told_with_its_default(self) -> None:
        """SPEC.md 7.1."""
        told = {
            option: default.split("`")[0].strip()
            for options, _, default in rows(rule("7.1"))
            for option in re.findall(r"--([a-z-]+)", options)
        }
        declared = {option: default for option, _, default, _ in tap.Options.optParameters}
        assert told.keys() == declared.keys()
        for option, default in declared.items():
            if default is not None and told[option] != "2.14":
                assert told[option] == default, option

    def test_what_is_told_of_a_report_is_in_it(self) -> None:
        """SPEC.md 7.12."""
        told = {name: re.findall(r"\w+", members) for name, members in rows(rule("7.12"))}
        reports = {
            "BACKUP": interfaces.BackupReport,
            "RESTORE": interfaces.RestoreReport,
            "DELETE": interfaces.DeleteReport,
            "RECLAIM": interfaces.ReclaimReport,
        }
        for name, report in reports.items():
            assert set(told[name]) <= {field.name for field in fields(report)}, name

    def test_every_error_is_told_with_its_exit_status(self) -> None:
        """SPEC.md 10.10."""
        told = [(code, int(status)) for code, status, _ in rows(rule("10.10"))]
        assert told == [(code.value, code.exit_status) for code in ErrorCode]

    def test_every_command_is_told_with_its_fields(self) -> None:
        """SPEC.md 10.3."""
        told = [
            (command.split("`")[0], set(re.findall(r"\w+", fields)), set(re.findall(r"\w+", answer)))
            for command, fields, answer in rows(rule("10.3"))
        ]
        declared = [
            (
                command.__name__,
                {name.decode() for name, _ in command.arguments},
                {name.decode() for name, _ in command.response},
            )
            for command in (
                commands.Hello,
                commands.Backup,
                commands.Restore,
                commands.Delete,
                commands.Reclaim,
                commands.Limit,
                commands.Summary,
                commands.Page,
                commands.Progressed,
            )
        ]
        assert told == declared

    def test_the_bounds_on_what_outsiders_can_do_are_those_of_the_code(self) -> None:
        """SPEC.md 11.2."""
        found = stated("11.2")
        assert found == as_stated(constants(limits), constants(limits))

    def test_the_times_are_those_of_the_code(self) -> None:
        """SPEC.md 11.3."""
        found = stated("11.3")
        assert found == as_stated(constants(timing), constants(timing))

    def test_the_bounds_of_the_control_protocol_are_those_of_the_code(self) -> None:
        """SPEC.md 11.4."""
        found = stated("11.4")
        assert found == as_stated(constants(commands, connection, interfaces, progress, server), found)

    def test_the_constants_of_flow_control_are_those_of_the_code(self) -> None:
        """SPEC.md 11.7."""
        of_others = constants(limits, timing).keys() | {"CHUNK_SIZE"}
        declared = constants(flow, losses, queues)
        assert stated("11.7") == as_stated(declared, declared.keys() - of_others)

    def test_what_a_chunk_is_charged_is_that_of_the_code(self) -> None:
        """SPEC.md 11.5."""
        told = " ".join(rule("11.5").split())
        assert f"`AUTO_SHARE`, {capacity.AUTO_SHARE}" in told
        assert f"`CHARGE_UNIT`, {capacity.CHARGE_UNIT:,} bytes" in told
