"""The stories that SPEC.md tells, each played by whole peers and compared with the transcript that is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.scenarios import (
    SCENARIOS,
    ScenarioError,
    Stage,
    play_scenario,
    read_scenario,
    seed_of,
)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_story_goes_as_it_is_written(path: Path) -> None:
    """``python -m tests.simulation.scenarios --rewrite`` writes down how it goes now."""
    text = path.read_text("utf-8")
    assert play_scenario(read_scenario(text), seed_of(path)) == text


def test_there_are_stories() -> None:
    assert len(list(SCENARIOS.glob("*.txt"))) >= 10


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(ScenarioError, match="nobody knows"):
        list(Stage(1).perform("peer 1 flies"))
