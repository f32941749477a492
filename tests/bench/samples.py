"""Figures measured several times."""

from collections.abc import Iterator
from statistics import median

from attrs import define, field, frozen


@frozen
class Sample:
    """What one figure was in each of the repeats, at least one."""

    values: tuple[float, ...] = field()

    @values.validator
    def _check(self, _attribute: object, values: tuple[float, ...]) -> None:
        if not values:
            raise ValueError("a figure that was never measured")

    @property
    def median(self) -> float:
        """The one in the middle."""
        return median(self.values)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest."""
        return max(self.values)


@define
class Samples:
    """Figures by their names, gathered over the repeats."""

    _values: dict[str, list[float]] = field(factory=dict)

    def add(self, **figures: float) -> None:
        """Take what one repeat has measured."""
        for name, value in figures.items():
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> Sample:
        return Sample(tuple(self._values[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)


def rate(size: int, seconds: float) -> float:
    """MB/s (10^6 bytes) of `size` bytes in so many seconds."""
    return size / 1e6 / seconds
