"""uftp: a file by multicast to as many receivers as there are holders."""

from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from shutil import which

from tests.bench.alternatives.alternative import START_SECONDS, Timing, patience, timed
from tests.bench.copies import check_copy
from tests.bench.ground import Ground
from tests.bench.started import run_together, server
from tests.functional.group import eventually

_BLOCK_BYTES = 1_440
"""With its headers a packet at MTU 1500."""

_RATES = (600_000, 1_000_000)
"""kbit/s. It sends at the rate that it is told; above these it repeats more than it gains."""

_SHARE_OF_LINK = 0.95

_KBITS = {"kbit": 1, "mbit": 1_000, "gbit": 1_000_000}


class Uftp:
    """Sends a file once for all. There is no way back but the same."""

    name = "uftp"
    package = "uftp"

    def why_not(self, ground: Ground, source: Path) -> str | None:
        """See Alternative."""
        if which("uftp") is None or which("uftpd") is None:
            return "not installed"
        if ground.is_loopback:
            return "its receivers need a host each: see the bridge"
        return "not for many files" if source.is_dir() else None

    def measure(self, ground: Ground, source: Path, folder: Path) -> Timing:
        """See Alternative."""
        rates = _RATES if ground.link_rate is None else (int(kbits(ground.link_rate) * _SHARE_OF_LINK),)
        return min(
            (self._measured(ground, source, folder / str(rate), rate) for rate in rates),
            key=lambda timing: timing.backup,
        )

    def _measured(self, ground: Ground, source: Path, folder: Path, rate: int) -> Timing:
        with ExitStack() as held:
            names = []
            for number, place in enumerate(ground.holders):
                own = folder / f"holder-{number}"
                (own / "data").mkdir(parents=True)
                receiving = ["uftpd", "-d", "-I", place.address, "-D", str(own / "data"), "-B", "33554432"]
                held.enter_context(server(place.inside(receiving), folder=own))
                output = own / "output"
                eventually(lambda output=output: output.stat().st_size > 0, "uftpd runs", START_SECONDS)  # type: ignore[misc]
                names.append(f"0x{int(IPv4Address(place.address)):08X}")
            sending = ["uftp", "-I", ground.initiator.address, "-B", "33554432", "-b", str(_BLOCK_BYTES)]
            # With their names it begins as soon as all have answered, and with a short round trip it asks often.
            sending += ["-t", "1", "-r", "0.05", "-R", str(rate), "-H", ",".join(names), str(source)]
            command = ground.initiator.inside(sending)
            seconds = timed(
                lambda: run_together([command], folder=folder / "client", seconds=patience(source)), folder
            )
            for number in range(len(names)):
                check_copy(source, folder / f"holder-{number}" / "data" / source.name)
        return Timing(seconds)


def kbits(rate: str) -> int:
    """kbit/s of a rate as tc writes it."""
    return int(rate[:-4]) * _KBITS[rate[-4:]]
