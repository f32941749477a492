"""The figures of a store as an object, as a table and as a page."""

import json

import pytest

from tests.bench.samples import Samples
from tests.bench.targets import Reached
from tests.bench.test_report import MACHINE
from tests.bench_store.options import StoreBenchOptions
from tests.bench_store.report import BEGIN, END, FIGURES, as_object, as_text, judged, rewritten

OPTIONS = StoreBenchOptions()
ASKED_FOR = (
    *("write_mb_s", "disk_mb_s", "two_stores_write_mb_s", "read_cold_mb_s", "read_warm_mb_s"),
    *("delete_us", "start_s", "rss_mb"),
)


@pytest.fixture
def samples() -> Samples:
    made = Samples()
    for write in (640.0, 610.0, 700.0):
        made.add(**dict.fromkeys(FIGURES, 1.0))
        made._values["write_mb_s"][-1] = write
        made._values["disk_mb_s"][-1] = 800.0
    return made


def reached(samples: Samples) -> dict[str, Reached]:
    return {verdict.work: verdict.reached for verdict in judged(samples)}


def test_the_object_has_the_medians_by_their_names_and_the_spread(samples: Samples) -> None:
    made = as_object(samples, OPTIONS, MACHINE)
    assert all(isinstance(made[name], float) for name in ASKED_FOR)
    assert made["write_mb_s"] == 640.0
    assert made["spread"]["write_mb_s"] == {"min": 610.0, "max": 700.0}
    assert made["machine"] == MACHINE
    assert json.loads(json.dumps(made)) == made


def test_the_table_has_every_figure(samples: Samples) -> None:
    text = as_text(samples, OPTIONS)
    assert all(what in text for what, _ in FIGURES.values())
    assert "640 (610 to 700) MB/s" in text


def test_a_share_of_the_plain_program_is_what_counts(samples: Samples) -> None:
    assert reached(samples)["durable writes, of the plain program's"] is Reached.AIM
    samples._values["disk_mb_s"] = [801.0]
    assert reached(samples)["durable writes, of the plain program's"] is Reached.NEITHER


def test_of_what_must_never_happen_the_worst_counts(samples: Samples) -> None:
    assert reached(samples)["longest wait of a put"] is Reached.NEITHER
    samples._values["longest_put_s"] = [0.1, 0.4, 0.2]
    assert reached(samples)["longest wait of a put"] is Reached.AIM


def test_without_small_chunks_nothing_is_said_of_them() -> None:
    made = Samples()
    made.add(disk_mb_s=800.0, write_mb_s=700.0, delete_us=100.0, space_back_s=0.1)
    assert "start-up" not in reached(made)
    assert "start-up" not in as_text(made, OPTIONS)


def test_the_page_keeps_what_the_run_did_not_write(samples: Samples) -> None:
    first = rewritten(None, samples, OPTIONS, MACHINE)
    page = first.replace("# The chunk store\n", "# The chunk store\n\nBy hand.\n") + "\nAlso by hand.\n"
    samples.add(write_mb_s=1_000.0)
    again = rewritten(page, samples, OPTIONS, MACHINE)
    assert "By hand." in again
    assert again.endswith("Also by hand.\n")
    assert "610 to 1,000" in again
    assert "610 to 1,000" not in first
    assert (again.count(BEGIN), again.count(END)) == (1, 1)


def test_a_page_without_marks_is_not_written(samples: Samples) -> None:
    with pytest.raises(ValueError, match="no lines"):
        rewritten("A page by hand.", samples, OPTIONS, MACHINE)
