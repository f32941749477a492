"""tools.limit: the limit of what a running peer sends (SPEC.md 7.22)."""

from __future__ import annotations

import sys

import pytest
from twisted.internet.utils import getProcessOutputAndValue

from tests.peer.control.stand_in import SECRET, StandIn, listening
from tests.support.in_reactor import in_reactor
from tools.limit import is_limit, main
from tools.peer_process import PROJECT


@pytest.mark.parametrize("text", ["1", "007", "999999", "none"])
def test_a_limit_is_a_whole_number_of_mb_or_none(text: str) -> None:
    assert is_limit(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1000000", "", "all", "٧", "1 "])
def test_anything_else_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """SPEC.md 7.7, 7.8."""
    assert main(["7600", text]) == 2
    assert "usage:" in capsys.readouterr().err


def test_its_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Example: " in capsys.readouterr().out


@pytest.mark.parametrize(("text", "bytes_per_second"), [("12", 12_000_000), ("none", 0)])
@in_reactor
async def test_it_reaches_the_peer(
    text: str, bytes_per_second: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("config")
    (config / "backup-peer").mkdir()
    secret = config / "backup-peer" / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    operations = StandIn()
    async with listening(operations) as control:
        out, err, status = await getProcessOutputAndValue(
            sys.executable,
            ["-m", "tools.limit", str(control.access_point), text],
            env={"XDG_CONFIG_HOME": str(config), "PYTHONPATH": str(PROJECT)},
            path=str(PROJECT),
        )
    assert (status, err) == (0, b"")
    assert operations.asked == [("limit_sending", bytes_per_second)]
    assert (b"12 MB/s" in out) == (text == "12")
