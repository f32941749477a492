"""Conform as a command, against real peers that speak real multicast on the loopback interface."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from random import SystemRandom
from xml.etree import ElementTree

import pytest

from tests.functional.group import RealPeer, local_group
from tools.peer_process import PROJECT
from tools.reservation import LOOPBACK, reserved


def conform(*options: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tools.conform", f"--interface={LOOPBACK}", "--ttl=0", *options],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def groups_of(peer: RealPeer) -> list[str]:
    """The options that tell the groups that the peer was started on."""
    words = shlex.split((peer.folder / "command").read_text())
    return [word for word in words if word.startswith(("--mc=", "--mdb=", "--mdr="))]


@pytest.mark.functional
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_our_own_peer_passes_all_of_it(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 1, "--capacity=1000000") as group:
        peer = group[0]
        report = tmp_path / "report.xml"
        ran = conform(
            *groups_of(peer),
            f"--access-point={peer.access_point}",
            "--harsh",
            "--ours",
            "--json",
            f"--junit={report}",
            environment=peer.environment,
        )
        checks = [check for rule in json.loads(ran.stdout)["rules"] for check in rule["checks"]]
        assert [(check["says"], check["why"]) for check in checks if check["verdict"] != "passed"] == []
        assert (ran.returncode, ran.stderr) == (0, f"Probing peer {peer.peer_id}\n")
        assert len(ElementTree.parse(report).findall("testcase")) == len(checks) > 130


@pytest.mark.functional
def test_nobody_there_is_status_4() -> None:
    with reserved(control_ports=0, random=SystemRandom()) as groups:
        ran = conform(f"--mc={groups.mc}", f"--mdb={groups.mdb}", f"--mdr={groups.mdr}")
        assert (ran.returncode, ran.stdout) == (4, "")
        assert ran.stderr.startswith("tools.conform: no peer was heard")


@pytest.mark.functional
def test_two_peers_in_the_groups_are_one_too_many(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 2) as group:
        ran = conform(*groups_of(group[0]))
        assert ran.returncode == 2
        assert "let the one that is probed be alone in its groups" in ran.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--edition=third"], "invalid choice"),
        (["--command-backup=run {path}"], "lacks {path} and {degree}"),
        (["--command-reclaim=run"], "lacks {kbytes} or {bytes}"),
        (["--command-delete=x {path}", "--access-point=7600"], "give one"),
        (["--mc=10.0.0.1:7001"], "is no multicast group"),
        (["--ttl=256"], "no whole number"),
        (["--access-point=nowhere"], "is no access point"),
    ],
)
def test_wrong_usage_is_status_2(options: list[str], complaint: str) -> None:
    ran = conform(*options)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert complaint in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_access_point_where_no_peer_answers_is_status_4(tmp_path: Path) -> None:
    ran = conform(f"--access-point={tmp_path}/none", environment=dict(os.environ))
    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr.count("\n") == 1
