"""The house keeps its own rules (CONTRIBUTING.md), runs the checkout, and packs everything that it needs."""

import configparser
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import house

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = ("protocol", "storage", "peer")
PACKAGES = (*ROOMS, "tools")

SETUP = configparser.ConfigParser()
SETUP.read(CHECKOUT / "setup.cfg", encoding="utf-8")


def sources(*folders: str) -> Iterator[Path]:
    """Our Python files in the folders, by name."""
    for folder in folders:
        yield from sorted((CHECKOUT / folder).rglob("*.py"))


def breaches(
    rule: Callable[[str], list[int]], *folders: str, exempt: frozenset[str] = frozenset()
) -> list[str]:
    """Where the folders break the rule, as `file:line`."""
    return [
        f"{path.relative_to(CHECKOUT)}:{line}"
        for path in sources(*folders)
        if str(path.relative_to(CHECKOUT)) not in exempt
        for line in rule(path.read_text(encoding="utf-8"))
    ]


def run_elsewhere(program: str, folder: Path) -> str:
    """What this Python, run in another folder with only what is installed on its path, prints."""
    ran = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", program],
        cwd=folder,
        env={"HOME": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


# Where a program is put together: the peer's, and that of the commands.
COMPOSITION_ROOTS = frozenset({"peer/tap.py", "tools/reach.py"})


class TestTimeAndChanceComeInByTheDoor:
    """Only so can a LAN of peers run in virtual time, the same way for the same seed."""

    def test_only_tap_imports_the_reactor(self) -> None:
        assert breaches(house.reactor_imports, *PACKAGES, exempt=COMPOSITION_ROOTS) == []

    def test_nobody_reaches_for_a_clock_or_for_randomness(self) -> None:
        # tap is where both enter: it hands in the reactor, the wall clock and SystemRandom.
        assert breaches(house.ambient_time_or_chance, *ROOMS, exempt=COMPOSITION_ROOTS) == []

    def test_no_test_sleeps(self) -> None:
        # Real processes take real time: one module waits for them, with bounds.
        assert breaches(house.sleeps, "tests", exempt=frozenset({"tests/functional/group.py"})) == []

    @pytest.mark.parametrize(
        "line",
        [
            "from twisted.internet import reactor",
            "import twisted.internet.reactor",
            "from twisted.internet.threads import deferToThread",
        ],
    )
    def test_an_import_of_the_reactor_is_seen(self, line: str) -> None:
        assert house.reactor_imports(f"def f():\n    {line}\n") == [2]

    @pytest.mark.parametrize(
        "lines",
        [
            "import time",
            "from time import monotonic",
            "import random",
            "from random import randint",
            "from random import SystemRandom",
            "generator = Random(7)",
            "import secrets",
            "from os import urandom",
            "nonce = os.urandom(8)",
            "started = datetime.datetime.now(UTC)",
        ],
    )
    def test_a_reach_for_time_or_chance_is_seen(self, lines: str) -> None:
        assert house.ambient_time_or_chance(lines) == [1]

    def test_the_type_of_what_is_handed_in_may_be_named(self) -> None:
        source = (
            "from random import Random\n\ndef draw(random: Random) -> float:\n    return random.random()\n"
        )
        assert house.ambient_time_or_chance(source) == []

    @pytest.mark.parametrize(
        "source",
        ["import time\ntime.sleep(1)", "from time import sleep\nsleep(1)", "\nawait asyncio.sleep(1)"],
    )
    def test_a_sleep_is_seen(self, source: str) -> None:
        assert house.sleeps(source) == [2]


class TestNames:
    def test_everything_is_named_for_its_subject(self) -> None:
        empty = [
            f"{path.relative_to(CHECKOUT)}: {name}"
            for path in sources(*PACKAGES, "tests")
            for name in (
                *([path.stem] if house.is_empty_name(path.stem) else []),
                *house.empty_names(path.read_text(encoding="utf-8")),
            )
        ]
        assert empty == []

    def test_an_empty_name_is_seen(self) -> None:
        assert house.empty_names("class MessageHandler: ...\ndef chunk_util(manager): ...") == [
            "MessageHandler",
            "chunk_util",
            "manager",
        ]

    def test_a_word_that_only_contains_one_is_not_seen(self) -> None:
        assert house.empty_names("class Utility: ...\ndef handle(): ...\ndef multiprocessors(): ...") == []


class TestSpec:
    def test_every_rule_that_is_cited_exists(self) -> None:
        spec = (CHECKOUT / "SPEC.md").read_text(encoding="utf-8")
        rules = set(re.findall(r"^\*\*(\d+\.\d+)\*\*", spec, re.MULTILINE))
        dangling = [
            f"{path.relative_to(CHECKOUT)}: {rule}"
            for path in sources(*PACKAGES, "tests")
            if path != Path(__file__).resolve()
            for rule in house.cited_rules(path.read_text(encoding="utf-8"))
            if rule not in rules
        ]
        assert dangling == []

    def test_a_citation_of_several_rules_is_read(self) -> None:
        assert house.cited_rules("see SPEC.md 3.1, 3.12 and 10.2. SPEC.md 4 is a section") == [
            "3.1",
            "3.12",
            "10.2",
        ]


class TestWhatRuns:
    def test_it_is_the_checkout_and_no_copy(self, tmp_path: Path) -> None:
        program = f"for name in {PACKAGES}: print(__import__(name).__file__)"
        assert run_elsewhere(program, tmp_path).splitlines() == [
            str(CHECKOUT / name / "__init__.py") for name in PACKAGES
        ]

    def test_twistd_finds_the_plugin(self, tmp_path: Path) -> None:
        program = (
            "from twisted.application.service import IServiceMaker\n"
            "from twisted.plugin import getPlugins\n"
            "print([m.module for m in getPlugins(IServiceMaker) if m.tapname == 'backup-peer'])"
        )
        assert run_elsewhere(program, tmp_path) == "['peer.tap']\n"

    def test_every_requirement_is_pinned(self) -> None:
        pins = {}
        for line in (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                name, version = line.split("==")
                pins[canonicalize_name(name)] = version
        wanted = SETUP["options"]["install_requires"] + "".join(SETUP["options.extras_require"].values())
        for requirement in map(Requirement, wanted.split("\n")[1:]):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


class TestPacking:
    def test_a_wheel_holds_every_module_the_plugin_and_the_data(self, tmp_path: Path) -> None:
        # Of a copy: setuptools takes what it finds in build/, and would leave one in the checkout.
        copy = tmp_path / "checkout"
        copy.mkdir()
        expected = {"twisted/plugins/backup_peer.py"}
        for package in PACKAGES:
            for path in (CHECKOUT / package).rglob("*"):
                if path.suffix in {".py", ".sql"} or path.name == "py.typed":
                    expected.add(str(path.relative_to(CHECKOUT)))
        for name in (*expected, "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((CHECKOUT / name).read_bytes())
        subprocess.run(
            [sys.executable, "-c", "from setuptools.build_meta import build_wheel; build_wheel('.')"],
            cwd=copy,
            check=True,
            capture_output=True,
        )
        (wheel,) = copy.glob("*.whl")
        packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
        assert packed == expected

    @pytest.mark.parametrize("package", PACKAGES)
    def test_a_package_says_that_it_is_typed(self, package: str) -> None:
        assert (CHECKOUT / package / "py.typed").exists()

    def test_nothing_makes_a_package_of_the_plugin_folders(self) -> None:
        # With an __init__.py there, our folder would be all of Twisted that Python finds.
        assert list((CHECKOUT / "twisted").rglob("__init__.py")) == []


class TestNews:
    def test_every_fragment_has_a_type_that_the_news_know(self) -> None:
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
        types = "|".join(entry["directory"] for entry in project["tool"]["towncrier"]["type"])
        for fragment in (CHECKOUT / "newsfragments").iterdir():
            if fragment.name != ".gitignore":
                assert re.fullmatch(rf"(\d+|\+\w+)\.({types})(\.\d+)?\.md", fragment.name), fragment.name
