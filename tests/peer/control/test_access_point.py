"""What an access point looks like (SPEC.md 10.1)."""

import pytest

from peer.control.access_point import AccessPoint, AccessPointError


@pytest.mark.parametrize(
    ("text", "access_point", "shown"),
    [
        ("8001", AccessPoint(host="127.0.0.1", port=8001), "127.0.0.1:8001"),
        ("0", AccessPoint(host="127.0.0.1", port=0), "127.0.0.1:0"),
        ("nas.local:65535", AccessPoint(host="nas.local", port=65_535), "nas.local:65535"),
        ("[::1]:8001", AccessPoint(host="::1", port=8001), "[::1]:8001"),
        ("/run/peer.sock", AccessPoint(path="/run/peer.sock"), "/run/peer.sock"),
        ("./8001", AccessPoint(path="./8001"), "./8001"),
        ("/run/a:1", AccessPoint(path="/run/a:1"), "/run/a:1"),
    ],
)
def test_a_port_a_host_and_port_or_a_path(text: str, access_point: AccessPoint, shown: str) -> None:
    assert AccessPoint.parse(text) == access_point
    assert str(access_point) == shown
    assert AccessPoint.parse(shown) == access_point


@pytest.mark.parametrize(
    "text",
    [
        "",
        "peer",
        "65536",
        "-1",
        "1e3",
        "８００１",
        "999999",
        ":8001",
        "host:",
        "host:x",
        "[]:1",
        "/a\0b",
        "/" * 108,
    ],
)
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(AccessPointError, match=r"access point|socket"):
        AccessPoint.parse(text)


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("8001", True),
        ("localhost:8001", True),
        ("127.3.2.1:8001", True),
        ("[::1]:8001", True),
        ("./peer.sock", True),
        ("192.168.1.2:8001", False),
        ("nas.local:8001", False),
    ],
)
def test_only_what_is_certainly_this_machine_is_local(text: str, is_local: bool) -> None:
    assert AccessPoint.parse(text).is_local is is_local
