"""What can be measured, by name."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from tests.bench.bench import Bench
from tests.bench.case import Case, measured
from tests.bench.filling import filled
from tests.bench.options import BRIDGE
from tests.bench.result import Result
from tests.bench.sharing import four_initiators, scarce
from tests.bench.small_files import small_files

_GIGABYTE: Final = 1_000_000_000
_HUNDRED_MEGABYTES: Final = 100_000_000
_GIGABIT: Final = "1gbit"

_SMALL_BUFFER_BYTES: Final = 212_992 // 2
"""Linux doubles what it is asked for: this gives the usual buffer of those who ask for none."""

_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""net.core.rmem_max as many systems have it; a peer without privilege gets no more."""


def plain(bench: Bench) -> Iterator[Result]:
    """A file backed up and restored, on the network that the options name."""
    options = bench.options
    for case in _cases(bench, "plain"):
        yield measured(case(network=options.network, link_rate=options.link_rate), bench)


def unprivileged(bench: Bench) -> Iterator[Result]:
    """The same by peers that may not go beyond net.core.rmem_max, and ask for 4 MiB."""
    for case in _cases(bench, "unprivileged"):
        own = case(is_privileged=False, receive_buffer_bytes=_LIMIT_BYTES, has_alternatives=False)
        yield measured(own, bench)


def over_bridge(bench: Bench) -> Iterator[Result]:
    """The same over a bridge at MTU 1500."""
    for case in _cases(bench, "bridge"):
        yield measured(case(network=BRIDGE, has_stores=False), bench)


def shaped(bench: Bench) -> Iterator[Result]:
    """The same with the initiator's link shaped to 1 Gb/s: further copies are free."""
    for case in _cases(bench, "shaped", degrees=(1, 2, 3)):
        link_rate = bench.options.link_rate or _GIGABIT
        yield measured(case(network=BRIDGE, link_rate=link_rate, has_stores=False), bench)


def small_buffer(bench: Bench) -> Iterator[Result]:
    """One of the holders has the buffer of those who ask for none."""
    own = {1: (f"--receive-buffer={_SMALL_BUFFER_BYTES}",)}
    for case in _cases(bench, "small-buffer", size=_HUNDRED_MEGABYTES):
        yield measured(case(options_of=own, has_raw=False, has_stores=False, has_alternatives=False), bench)


SCENARIOS: Final[Mapping[str, Callable[[Bench], Iterator[Result]]]] = {
    "plain": plain,
    "unprivileged": unprivileged,
    "bridge": over_bridge,
    "shaped": shaped,
    "small-files": small_files,
    "small-buffer": small_buffer,
    "scarce": scarce,
    "four-initiators": four_initiators,
    "filled": filled,
}
"""Each gives a result for every size and degree that it is asked for. The first is what is measured by default."""


def _cases(
    bench: Bench, scenario: str, *, size: int = _GIGABYTE, degrees: tuple[int, ...] = (2,)
) -> Iterator[Callable[..., Case]]:
    """A case for every size and degree; the arguments given are what one measures without being asked."""
    options = bench.options
    for each in options.sizes or (size,):
        for degree in options.degrees or degrees:
            yield partial(
                Case,
                scenario=scenario,
                size=each,
                degree=degree,
                peers=options.peers or degree + 1,
                receive_buffer_bytes=options.receive_buffer_bytes,
            )
