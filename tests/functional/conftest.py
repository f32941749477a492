"""Real processes take as long as the machine lets them: bounds here end what hangs, and judge no speed."""

from __future__ import annotations

import pytest

HANGS_AFTER = 600.0
"""Seconds. Ten times what the longest of these tests takes on a quiet machine with two cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every functional test that names no bound of its own a generous one."""
    for item in items:
        if item.get_closest_marker("functional") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(HANGS_AFTER))
