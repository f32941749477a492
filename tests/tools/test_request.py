"""What TestApp's command line can say (SPEC.md section 7)."""

import pytest

from peer.control.access_point import AccessPoint
from peer.control.interfaces import ErrorCode, OperationError
from tools.request import Request, Subprotocol, UsageError, parse, with_path_from

HERE = AccessPoint(host="127.0.0.1", port=7600)


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (["7600", "STATE"], Request(access_point=HERE, subprotocol=Subprotocol.STATE)),
        (
            ["--json", "7600", "BACKUP", "photo.jpg", "9"],
            Request(
                access_point=HERE, subprotocol=Subprotocol.BACKUP, as_json=True, path="photo.jpg", degree=9
            ),
        ),
        (
            ["/run/p.sock", "RESTOREENH", "/photo.jpg"],
            Request(
                access_point=AccessPoint(path="/run/p.sock"),
                subprotocol=Subprotocol.RESTORE,
                is_enhanced=True,
                path="/photo.jpg",
            ),
        ),
        (
            ["--", "nas:7600", "DELETE", "--json"],
            Request(
                access_point=AccessPoint(host="nas", port=7600), subprotocol=Subprotocol.DELETE, path="--json"
            ),
        ),
        (["7600", "RECLAIM", "007"], Request(access_point=HERE, subprotocol=Subprotocol.RECLAIM, kbytes=7)),
        (["7600", "RECLAIM", "0"], Request(access_point=HERE, subprotocol=Subprotocol.RECLAIM, kbytes=0)),
    ],
)
def test_a_command_line_reads_as_one_request(words: list[str], request_: Request) -> None:
    assert parse(words) == request_


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "access point and a sub-protocol"),
        ("7600", "access point and a sub-protocol"),
        ("--jsn 7600 STATE", "unknown option"),
        ("7600 STORE", "unknown sub-protocol 'STORE'"),
        ("7600 backup /a 1", "did you mean BACKUP"),
        ("7600 STATEENH", "did you mean STATE"),
        ("7600 --json STATE", "unknown sub-protocol '--json'"),
        ("7600 STATE /a", "no operands"),
        ("7600 BACKUP", "<path> and <degree>"),
        ("7600 BACKUP /a", "1 was given"),
        ("7600 BACKUP /a 1 2", "3 were given"),
        ("7600 BACKUPENH /a", "BACKUPENH takes"),
        ("7600 RESTORE", "<path>"),
        ("7600 DELETE /a /b", "<path>"),
        ("7600 RECLAIM", "<KByte>"),
        ("7600 BACKUP /a 0", "from 1 to 9"),
        ("7600 BACKUP /a 10", "from 1 to 9"),
        ("7600 BACKUP /a two", "from 1 to 9"),
        ("7600 BACKUP /a ٣", "from 1 to 9"),
        ("7600 BACKUP /a -1", "from 1 to 9"),
        ("7600 RECLAIM -1", "from 0 up"),
        ("7600 RECLAIM 1.5", "from 0 up"),
        ("7600 RECLAIM 1e3", "from 0 up"),
        ("7600 RECLAIM ٣", "from 0 up"),
        ("nonsense STORE", "unknown sub-protocol"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse(line.split())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("peer", ["nonsense", "99999", "host:", ""])
def test_where_no_peer_can_be_none_answers(peer: str) -> None:
    with pytest.raises(OperationError) as caught:
        parse([peer, "STATE"])
    assert caught.value.code.exit_status == 4


def test_a_capacity_beyond_any_disk_is_no_wrong_usage() -> None:
    with pytest.raises(OperationError) as caught:
        parse(["7600", "RECLAIM", "1" + "0" * 18])
    assert caught.value.code is ErrorCode.CAPACITY_TOO_LARGE
    assert parse(["7600", "RECLAIM", "9" * 18]).kbytes == 10**18 - 1


@pytest.mark.parametrize(
    ("peer", "path", "sent"),
    [
        ("7600", "photo.jpg", "/home/ada/photo.jpg"),
        ("./p.sock", "../b/./photo.jpg", "/home/b/photo.jpg"),
        ("7600", "/else/where", "/else/where"),
        ("nas:7600", "photo.jpg", "photo.jpg"),
    ],
)
def test_only_for_a_peer_on_this_machine_is_a_relative_path_made_absolute(
    peer: str, path: str, sent: str
) -> None:
    assert with_path_from(parse([peer, "DELETE", path]), "/home/ada").path == sent


def test_an_operand_that_is_no_path_is_left_alone() -> None:
    assert with_path_from(parse(["7600", "STATE"]), "/home/ada").path == ""
