import pytest

from tests.bench.samples import Sample, Samples, rate


def test_one_bad_run_of_three_moves_the_spread_and_not_the_median() -> None:
    sample = Sample((400.0, 20.0, 410.0))
    assert (sample.median, sample.least, sample.most) == (400.0, 20.0, 410.0)


def test_the_median_of_an_even_number_of_runs_is_between_the_two_in_the_middle() -> None:
    assert Sample((1.0, 2.0, 4.0, 100.0)).median == 3.0


def test_a_figure_that_was_never_measured_is_none() -> None:
    with pytest.raises(ValueError, match="never measured"):
        Sample(())


def test_figures_are_gathered_by_their_names_over_the_repeats() -> None:
    samples = Samples()
    samples.add(backup_mb_s=10.0, failed=0)
    samples.add(backup_mb_s=30.0)
    assert list(samples) == ["backup_mb_s", "failed"]
    assert samples["backup_mb_s"].median == 20.0
    assert samples["failed"].values == (0.0,)
    assert "restore_mb_s" not in samples


def test_a_rate_is_in_millions_of_bytes() -> None:
    assert rate(1_000_000_000, 2.5) == 400.0
