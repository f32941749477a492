"""The figures as an object for programs, and as a table for the eye."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.bench.options import size_text
from tests.bench.result import FIGURES, Result, Setting
from tests.bench.samples import Sample, Samples
from tests.bench.targets import Reached, Verdict, judged

_REACHED = {
    Reached.AIM: "reached",
    Reached.FLOOR: "floor reached, aim not",
    Reached.NEITHER: "not reached",
}


def as_object(
    results: Sequence[Result], machine: Mapping[str, object], failures: Mapping[str, str]
) -> dict[str, Any]:
    """What --json prints: the first result, the machine, in `others` further results, in `failures` why not more."""
    first, *others = results
    return {
        **_object(first),
        "machine": dict(machine),
        "failures": dict(failures),
        **({"others": [_object(each) for each in others]} if others else {}),
    }


def as_text(results: Iterable[Result]) -> str:
    """A table for each result."""
    return "\n\n".join("\n".join(_lines(each)) for each in results)


def title(setting: Setting) -> str:
    """What was measured, in a line."""
    what = (
        f"{setting.files:,} files of {size_text(setting.size)}"
        if setting.files > 1
        else size_text(setting.size)
    )
    runs = f"{setting.repeats} runs" if setting.repeats > 1 else "one run"
    return f"{setting.scenario}: {what}, degree {setting.degree}, {setting.peers} peers, {setting.ground}, {runs}"


def number_text(value: float) -> str:
    """A figure with as many digits as it deserves."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def sample_text(sample: Sample) -> str:
    """A median with the smallest and the largest, where there are several."""
    text = number_text(sample.median)
    if sample.least == sample.most:
        return text
    return f"{text} ({number_text(sample.least)} to {number_text(sample.most)})"


def verdict_text(verdict: Verdict) -> str:
    """How far a figure came, in words."""
    return _REACHED[verdict.reached]


def figure_rows(samples: Samples) -> Iterator[tuple[str, str, str]]:
    """What each figure is, the figure, and its unit."""
    for name, (what, unit) in FIGURES.items():
        if name in samples:
            yield what, sample_text(samples[name]), unit


def _lines(result: Result) -> Iterator[str]:
    yield title(result.setting)
    for what, figure, unit in figure_rows(result.samples):
        yield f"  {what:<50} {figure:>28} {unit}".rstrip()
    for name, samples in result.alternatives.items():
        for what, figure, unit in figure_rows(samples):
            yield f"  {f'{name}: {what}':<50} {figure:>28} {unit}"
    for name, reason in result.not_measured.items():
        yield f"  {name}: {reason}"
    for verdict in judged(result):
        yield (
            f"  target: {verdict.work} {number_text(verdict.measured)} {verdict.unit}, "
            f"aim {number_text(verdict.aim)}, floor {number_text(verdict.floor)}: {verdict_text(verdict)}"
        )
    for sentence in result.notes:
        yield f"  {sentence}"


def _object(result: Result) -> dict[str, Any]:
    setting = result.setting
    return {
        "scenario": setting.scenario,
        "network": setting.ground,
        "size": setting.size,
        "files": setting.files,
        "degree": setting.degree,
        "peers": setting.peers,
        "repeats": setting.repeats,
        **_figures(result.samples),
        "alternatives": {
            **{name: _figures(samples) for name, samples in result.alternatives.items()},
            **{name: {"not_measured": reason} for name, reason in result.not_measured.items()},
        },
        "targets": [
            {
                "work": verdict.work,
                "unit": verdict.unit,
                "measured": _rounded(verdict.measured),
                "aim": _rounded(verdict.aim),
                "floor": _rounded(verdict.floor),
                "reached": verdict.reached.value,
            }
            for verdict in judged(result)
        ],
        "notes": list(result.notes),
    }


def _figures(samples: Samples) -> dict[str, Any]:
    return {
        **{name: _rounded(samples[name].median) for name in samples},
        "spread": {
            name: {"min": _rounded(samples[name].least), "max": _rounded(samples[name].most)}
            for name in samples
        },
    }


def _rounded(value: float) -> float:
    return round(value, 5 if abs(value) < 1 else 1)
