"""The command line of ``make bench-store``."""

import pytest

from tests.bench_store.options import StoreBenchOptions, read_options
from tools.peer_process import PROJECT


def test_by_default_all_is_measured_three_times_on_the_disk_of_the_checkout() -> None:
    options = read_options([])
    assert (options.full, options.small, options.repeats) == (16_000, 1_000_000, 3)
    assert options.folder == PROJECT


def test_quick_is_once_and_with_fewer() -> None:
    options = read_options(["--quick", "--json", "--dir", "/somewhere"])
    assert options.repeats == 1
    assert options.full < 16_000
    assert options.small < 1_000_000
    assert options.as_json
    assert str(options.folder) == "/somewhere"


def test_the_numbers_may_be_chosen() -> None:
    assert read_options(["--full", "512", "--small", "0", "--repeats", "5", "--write"]) == StoreBenchOptions(
        full=512, small=0, repeats=5, is_to_write=True
    )


@pytest.mark.parametrize(
    "arguments",
    [["--quick", "--write"], ["--quick", "--repeats", "3"], ["--repeats", "2"], ["--small", "1000001"]],
)
def test_what_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options(arguments)
    assert ended.value.code == 2
