"""The door is open to the user alone, and a peer takes no other's door (SPEC.md 10.1)."""

import os
import socket
import stat
from pathlib import Path

import pytest

from peer.control.access_point import AccessPoint
from peer.control.client import CONNECT_SECONDS, HELLO_SECONDS
from peer.control.interfaces import ErrorCode, OperationError
from tests.peer.control.stand_in import SUMMARY, StandIn, listening, reach, unix_access_point
from tests.support.in_reactor import in_reactor


@in_reactor
async def test_a_port_alone_listens_on_this_machine_only() -> None:
    async with listening(StandIn(), at=AccessPoint.parse("0")) as control:
        assert control.access_point.host == "127.0.0.1"
        assert control.access_point.port != 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", control.access_point.port))


async def refusal(at: AccessPoint) -> str:
    with pytest.raises(OperationError) as caught:
        async with listening(StandIn(), at=at):
            pass
    assert caught.value.code is ErrorCode.NETWORK_FAILED
    return caught.value.sentence


@in_reactor
async def test_a_port_that_is_taken_is_refused_with_a_sentence() -> None:
    async with listening(StandIn()) as control:
        assert "Address already in use" in await refusal(control.access_point)
        session = await reach(control.access_point)
        assert await session.summary() == SUMMARY
        await session.close()


@in_reactor
async def test_a_unix_socket_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    at = unix_access_point(tmp_path)
    umask = os.umask(0)
    try:
        async with listening(StandIn(), at=at):
            assert stat.S_IMODE(os.stat(at.path).st_mode) == 0o600
            assert stat.S_IMODE(os.stat(f"{at.path}.lock").st_mode) == 0o600
    finally:
        os.umask(umask)
    assert not os.path.exists(at.path)


@in_reactor
async def test_the_mode_is_set_before_anybody_can_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = unix_access_point(tmp_path)
    modes: list[int] = []
    listen_on = socket.socket.listen

    def note_mode(self: socket.socket, backlog: int) -> None:
        modes.append(stat.S_IMODE(os.stat(at.path).st_mode))
        listen_on(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", note_mode)
    async with listening(StandIn(), at=at):
        assert modes == [0o600]


@in_reactor
async def test_a_socket_that_a_dead_peer_left_is_replaced(tmp_path: Path) -> None:
    at = unix_access_point(tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(at.path)
        dead.listen()
    assert os.path.exists(at.path)
    async with listening(StandIn(), at=at):
        session = await reach(at)
        assert await session.summary() == SUMMARY
        await session.close()


@in_reactor
async def test_a_socket_of_a_peer_that_lives_is_left_to_it(tmp_path: Path) -> None:
    at = unix_access_point(tmp_path)
    async with listening(StandIn(), at=at):
        assert "another peer" in await refusal(at)
        session = await reach(at)
        assert await session.summary() == SUMMARY
        await session.close()
    async with listening(StandIn(), at=at):
        pass


@in_reactor
async def test_a_socket_of_any_other_program_is_left_to_it(tmp_path: Path) -> None:
    at = unix_access_point(tmp_path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(at.path)
        other.listen()
        assert "another program" in await refusal(at)
        assert os.path.exists(at.path)


@in_reactor
async def test_a_file_in_the_socket_s_place_is_never_removed(tmp_path: Path) -> None:
    at = unix_access_point(tmp_path)
    Path(at.path).write_text("precious")
    assert "no socket" in await refusal(at)
    assert Path(at.path).read_text() == "precious"


@in_reactor
async def test_a_socket_in_no_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    assert "No such file" in await refusal(unix_access_point(tmp_path / "missing"))


@in_reactor
async def test_an_interface_that_this_machine_has_not_is_refused_with_a_sentence() -> None:
    assert "can't listen at 192.0.2.1:" in await refusal(AccessPoint.parse("192.0.2.1:0"))


async def unreached(at: AccessPoint) -> OperationError:
    with pytest.raises(OperationError) as caught:
        await reach(at)
    return caught.value


@in_reactor
async def test_where_nobody_listens_no_peer_answers(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for at in (
        AccessPoint.parse(str(port)),
        unix_access_point(tmp_path),
        AccessPoint.parse("no..name:1"),
    ):
        error = await unreached(at)
        assert error.code is ErrorCode.UNREACHABLE
        assert str(at) in error.sentence


@in_reactor
async def test_a_socket_that_is_another_user_s_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = unix_access_point(tmp_path)
    async with listening(StandIn(), at=at):
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        os.chown(at.path, 54321, -1) if os.getuid() == 0 else None
        assert (await unreached(at)).code is ErrorCode.REFUSED


@in_reactor
async def test_what_takes_the_connection_and_says_nothing_is_given_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.control.client.HELLO_SECONDS", 0.05)
    assert CONNECT_SECONDS + HELLO_SECONDS < 20, "a user waits no longer than that for an answer"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        error = await unreached(AccessPoint.parse(str(silent.getsockname()[1])))
    assert error.code is ErrorCode.UNREACHABLE
