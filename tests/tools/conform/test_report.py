"""What conform found, as text, as JSON and as JUnit XML."""

import json
from random import Random
from xml.etree import ElementTree

import pytest

from tests.support.clock import SimClock
from tests.support.lan import MemoryLan
from tests.tools.conform.simple_peer import SimplePeer
from tests.tools.conform.street import FOLDER, MemoryFolder, conform
from tests.tools.conform.wrong_peers import CountsMessages
from tools.conform.commands import NoCommands
from tools.conform.plan import Scope
from tools.conform.report import as_junit, as_object, as_text, is_broken
from tools.conform.session import Outcome


def outcome_of(peer: type[SimplePeer], *, ours_binds: bool = False, has_commands: bool = True) -> Outcome:
    clock, random = SimClock(), Random(1)
    lan = MemoryLan(clock=clock, random=random)
    folder = MemoryFolder(FOLDER, random)
    simple = peer(network=lan.network("10.0.0.7"), clock=clock, random=random, folder=folder)
    commands = simple if has_commands else NoCommands()
    return conform(lan, clock, commands, folder, scope=Scope(is_quick=True), ours_binds=ours_binds)


@pytest.fixture(scope="module")
def wrong() -> Outcome:
    return outcome_of(CountsMessages)


@pytest.fixture(scope="module")
def right() -> Outcome:
    return outcome_of(SimplePeer)


class TestText:
    def test_a_failure_is_shown_with_its_rule_its_reason_and_its_datagrams(self, wrong: Outcome) -> None:
        lines = list(as_text(wrong, shows_all=False))
        (at,) = [number for number, line in enumerate(lines) if "FAILED" in line]
        assert lines[at] == "  FAILED       3.3   counts distinct senders of STORED, not STOREDs"
        assert lines[at + 1].strip().startswith("one sender's three STOREDs were enough")
        assert " peer  MDB PUTCHUNK 1.0 7 " in lines[at + 2]
        assert lines[at + 2].endswith(" 0 2 \\r\\n\\r\\n + 1,000 bytes")
        assert " probe MC  STORED 1.0 " in lines[at + 3]

    def test_sections_stand_in_the_order_of_the_specification(self, wrong: Outcome) -> None:
        text = "\n".join(as_text(wrong, shows_all=False))
        titles = ["1. Terms", "2. Message format", "3. Chunk backup", "6. Space reclaiming", "What it sent"]
        places = [text.index(f"\n{title}\n") for title in titles]
        assert places == sorted(places)

    def test_what_passed_shows_its_datagrams_only_when_asked(self, right: Outcome) -> None:
        few, many = (len(list(as_text(right, shows_all=shows_all))) for shows_all in (False, True))
        assert many > few + 100

    def test_what_was_not_reached_says_why(self) -> None:
        text = "\n".join(as_text(outcome_of(SimplePeer, has_commands=False), shows_all=False))
        assert "needs --command-backup, or --access-point" in text
        assert "needs --command-reclaim, or --access-point" in text


class TestVerdict:
    def test_a_broken_rule_breaks_it(self, wrong: Outcome, right: Outcome) -> None:
        assert is_broken(wrong)
        assert not is_broken(right)

    def test_a_rule_of_ours_breaks_it_only_when_it_binds(self) -> None:
        assert is_broken(outcome_of(SimplePeer, ours_binds=True))


class TestJson:
    def test_it_has_each_rule_with_its_checks_and_their_datagrams(self, wrong: Outcome) -> None:
        report = json.loads(json.dumps(as_object(wrong)))
        (rule,) = [rule for rule in report["rules"] if rule["rule"] == "3.3"]
        assert rule["verdict"] == "failed"
        (check,) = [check for check in rule["checks"] if check["verdict"] == "failed"]
        first = check["datagrams"][0]
        assert (first["from"], first["group"], first["body_bytes"]) == ("peer", "MDB", 1000)
        assert first["header"].startswith("PUTCHUNK 1.0 7 ")
        assert report["totals"]["failed"] == 1
        assert sum(report["totals"].values()) == sum(len(rule["checks"]) for rule in report["rules"])

    def test_it_tells_what_the_peer_sent(self, right: Outcome) -> None:
        sent = as_object(right)["sent"]
        assert isinstance(sent, dict)
        assert sent["MC: STORED 1.0 <n> <id> <n> \\r\\n\\r\\n"] > 100


class TestJUnit:
    def test_it_has_a_case_for_each_check(self, wrong: Outcome) -> None:
        suite = ElementTree.fromstring(as_junit(wrong))
        cases = suite.findall("testcase")
        assert suite.tag == "testsuite"
        assert int(suite.attrib["tests"]) == len(cases)
        (failed,) = [case for case in cases if case.find("failure") is not None]
        assert failed.attrib["name"] == "3.3 counts distinct senders of STORED, not STOREDs"
        assert failed.attrib["classname"] == "SPEC.md section 3"
        failure = failed.find("failure")
        assert failure is not None
        assert "PUTCHUNK 1.0 7" in (failure.text or "")
        skipped = [case for case in cases if case.find("skipped") is not None]
        assert int(suite.attrib["skipped"]) == len(skipped)
        assert any("left out by --quick" in ElementTree.tostring(case, "unicode") for case in skipped)
