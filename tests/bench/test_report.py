"""The figures as an object, as a table, and as a page that keeps what a run didn't write."""

import json
from pathlib import Path

import pytest

from tests.bench.machine import file_system
from tests.bench.page import BEGIN, END, rewritten
from tests.bench.report import as_object, as_text, number_text, sample_text
from tests.bench.result import FIGURES, Result, Setting
from tests.bench.samples import Sample, Samples

MACHINE = {
    "processors": 2,
    "processor": "a processor",
    "memory_mb": 24_000,
    "load_before": 0.5,
    "system": "Linux 6.1",
    "python": "3.11.7",
    "twisted": "26.10.0",
    "commit": "0123abc",
    "file_system": "ext4 on /dev/vda",
    "is_root": True,
    "rmem_max": 4_194_304,
}


@pytest.fixture
def result() -> Result:
    made = Result(
        Setting(scenario="plain", ground="loopback", size=1_000_000_000, degree=2, peers=3, repeats=3)
    )
    for backup in (390.0, 410.04, 400.06):
        made.samples.add(
            backup_mb_s=backup,
            restore_mb_s=650.0,
            raw_multicast_mb_s=1_720.0,
            two_stores_write_mb_s=860.0,
            plain_write_mb_s=900.0,
            retransmitted=0.00123456,
            rss_mb=140.0,
            below_degree=0,
        )
    made.alternatives["rsync"] = Samples()
    made.alternatives["rsync"].add(backup_mb_s=323.0, restore_mb_s=737.0)
    made.not_measured["uftp"] = "not installed (uftp)"
    made.note("A sentence.")
    return made


class TestObject:
    def test_it_has_the_medians_by_their_names_and_the_spread_beside_them(self, result: Result) -> None:
        made = as_object([result], MACHINE, {})
        assert made["backup_mb_s"] == 400.1
        assert made["spread"]["backup_mb_s"] == {"min": 390.0, "max": 410.0}
        assert made["retransmitted"] == 0.00123
        for name in ("restore_mb_s", "raw_multicast_mb_s", "two_stores_write_mb_s", "rss_mb"):
            assert isinstance(made[name], float)

    def test_it_says_what_was_measured_on_what(self, result: Result) -> None:
        made = as_object([result], MACHINE, {})
        assert (made["scenario"], made["size"], made["degree"], made["peers"]) == ("plain", 10**9, 2, 3)
        assert made["machine"] == MACHINE
        assert "others" not in made

    def test_the_alternatives_have_figures_or_a_reason(self, result: Result) -> None:
        alternatives = as_object([result], MACHINE, {})["alternatives"]
        assert alternatives["rsync"]["backup_mb_s"] == 323.0
        assert alternatives["uftp"] == {"not_measured": "not installed (uftp)"}

    def test_further_results_and_failures_are_in_the_same_object(self, result: Result) -> None:
        made = as_object([result, result], MACHINE, {"bridge": "root alone"})
        assert [each["backup_mb_s"] for each in made["others"]] == [400.1]
        assert made["failures"] == {"bridge": "root alone"}
        assert json.loads(json.dumps(made)) == made

    def test_every_figure_has_words_for_it(self, result: Result) -> None:
        assert set(result.samples) <= set(FIGURES)


class TestText:
    def test_a_table_has_every_figure_the_targets_and_the_notes(self, result: Result) -> None:
        text = as_text([result])
        assert text.startswith("plain: 1 GB, degree 2, 3 peers, loopback, 3 runs\n")
        assert "400 (390 to 410) MB/s" in text
        assert "rsync: restore" in text
        assert "uftp: not installed (uftp)" in text
        assert "target: backup 400 MB/s, aim 400, floor 200: reached" in text
        assert "A sentence." in text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.0, "0"), (0.00123, "0.0012"), (2.0, "2"), (2.26, "2.3"), (323.4, "323"), (1_720.3, "1,720")],
    )
    def test_a_figure_has_as_many_digits_as_it_deserves(self, value: float, text: str) -> None:
        assert number_text(value) == text

    def test_a_figure_that_is_always_the_same_has_no_spread(self) -> None:
        assert sample_text(Sample((2.0, 2.0, 2.0))) == "2"


class TestPage:
    def test_a_new_page_tells_the_machine_the_figures_and_what_they_mean(self, result: Result) -> None:
        page = rewritten(None, [result], MACHINE, {"bridge": "root alone"})
        assert page.startswith("# Performance\n")
        assert "2 processors (a processor), 24,000 MB of memory, ext4 on /dev/vda" in page
        assert "rmem_max 4,194,304" in page
        assert "| plain, degree 2 | backup | 400 MB/s | 400 | 200 | reached |" in page
        assert "| rsync: backup | 323 | MB/s |" in page
        assert "bridge could not be measured: root alone" in page
        assert "### What the figures mean" in page

    def test_what_others_have_written_around_the_figures_stays(self, result: Result) -> None:
        old = f"# Performance\n\nBefore.\n\n{BEGIN}\nold figures\n{END}\n\n## The profile\n\nAfter.\n"
        page = rewritten(old, [result], MACHINE, {})
        assert page.startswith(f"# Performance\n\nBefore.\n\n{BEGIN}\n")
        assert page.endswith(f"{END}\n\n## The profile\n\nAfter.\n")
        assert "old figures" not in page
        assert rewritten(page, [result], MACHINE, {}) == page

    def test_a_page_without_the_marks_is_left_alone(self, result: Result) -> None:
        with pytest.raises(ValueError, match="has no lines"):
            rewritten("# Performance\n", [result], MACHINE, {})


class TestMachine:
    MOUNTS = (
        "/dev/vda / ext4 rw 0 0",
        "tmpfs /var/tmp tmpfs rw 0 0",
        "/dev/vdb /var/tmp/disk xfs rw 0 0",
        "/dev/vdc /var/tmp/disk btrfs rw 0 0",
    )

    @pytest.mark.parametrize(
        ("folder", "kind"),
        [
            ("/home/me", "ext4 on /dev/vda"),
            ("/var/tmp", "tmpfs on tmpfs"),
            ("/var/tmp/bench", "tmpfs on tmpfs"),
            ("/var/tmp/disk/bench", "btrfs on /dev/vdc"),
            ("/var/tmp/diskette", "tmpfs on tmpfs"),
        ],
    )
    def test_the_file_system_is_the_innermost_that_is_mounted_above(self, folder: str, kind: str) -> None:
        assert file_system(Path(folder), self.MOUNTS) == kind
