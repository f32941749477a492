from collections.abc import Sequence

import pytest

from tests.bench.options import BRIDGE, LOOPBACK, BenchOptions, parse_size, read_options, size_text

SCENARIOS = ("plain", "shaped", "filled")


def read(*arguments: str) -> BenchOptions:
    return read_options(arguments, scenarios=SCENARIOS)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GB", 1_000_000_000),
        ("64KB", 64_000),
        ("4MiB", 4_194_304),
        ("212992", 212_992),
        ("7B", 7),
        ("250MB", 250_000_000),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "1.5GB", "1TB", "-1", "1 000", "1G", "1gb", "١GB", "1iB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1_000_000_000, "1 GB"),
        (250_000_000, "250 MB"),
        (4_000, "4 KB"),
        (212_992, "212,992 bytes"),
        (0, "0 bytes"),
    ],
)
def test_a_size_is_written_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text


def test_without_options_the_first_scenario_is_measured_three_times_beside_the_alternatives() -> None:
    options = read()
    assert options.scenarios == ("plain",)
    assert (options.sizes, options.degrees, options.peers) == ((), (), None)
    assert (options.network, options.link_rate) == (LOOPBACK, None)
    assert options.repeats == 3
    assert options.has_alternatives
    assert not options.as_json


def test_quick_is_once_and_without_the_alternatives() -> None:
    options = read("--size", "1GB", "--degree", "2", "--quick", "--json")
    assert (options.sizes, options.degrees) == ((1_000_000_000,), (2,))
    assert options.repeats == 1
    assert not options.has_alternatives
    assert options.as_json


def test_several_of_a_thing_are_given_in_one_list_or_one_by_one() -> None:
    options = read(
        "--size", "100MB,1GB", "--degree", "1,2,3", "--scenario", "shaped,plain", "--scenario", "plain"
    )
    assert options.sizes == (100_000_000, 1_000_000_000)
    assert options.degrees == (1, 2, 3)
    assert options.scenarios == ("shaped", "plain")


def test_all_are_all_once() -> None:
    assert read("--scenario", "filled,all").scenarios == SCENARIOS


def test_a_shaped_link_needs_the_bridge() -> None:
    options = read("--rate", "100mbit")
    assert (options.network, options.link_rate) == (BRIDGE, "100mbit")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--quick", "--write"], "medians"),
        (["--quick", "--repeats", "5"], "one run"),
        (["--repeats", "2"], "from 3"),
        (["--size", "0MB"], "0 bytes"),
        (["--size", "huge"], "is no size"),
        (["--degree", "10"], "from 1 to 9"),
        (["--peers", "1"], "from 2"),
        (["--rate", "fast"], "is no rate"),
        (["--scenario", "plane"], "is none of plain"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read(*arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
