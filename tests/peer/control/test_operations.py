"""What a user asks reaches the peer, and what the peer answers reaches the user (SPEC.md 10.3)."""

from pathlib import Path

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults

from peer.control.interfaces import ErrorCode, FileState, OperationError, Progress, StatePage
from tests.peer.control.stand_in import (
    BACKUP,
    FILE_ID,
    PAGE,
    RECLAIM,
    RESTORE,
    SUMMARY,
    StandIn,
    session_with,
    unix_access_point,
)
from tests.support.in_reactor import in_reactor


@in_reactor
async def test_each_operation_arrives_with_its_operands_and_its_report_comes_back() -> None:
    operations = StandIn()
    async with session_with(operations) as session:
        assert await session.backup("/home/ada/photo.jpg", 2) == BACKUP
        assert await session.restore("/home/ada/photo.jpg") == RESTORE
        assert (await session.delete("/home/ada/photo.jpg")).file_id == FILE_ID
        assert await session.reclaim(1000) == RECLAIM
        await session.limit_sending(12_000_000)
        assert await session.summary() == SUMMARY
    assert operations.asked == [
        ("backup", "/home/ada/photo.jpg", 2),
        ("restore", "/home/ada/photo.jpg"),
        ("delete", "/home/ada/photo.jpg"),
        ("reclaim", 1000),
        ("limit_sending", 12_000_000),
        ("state_summary",),
    ]


@in_reactor
async def test_a_thousand_commands_sent_at_once_all_arrive() -> None:
    """The bound for strangers holds until the first box with a seal, not until the last one that came with it."""
    operations = StandIn()
    async with session_with(operations) as session:
        asked = [Deferred.fromCoroutine(session.backup(f"/home/ada/{number}", 2)) for number in range(1_000)]
        assert await gatherResults(asked) == [BACKUP] * 1_000
    assert len(operations.asked) == 1_000


@in_reactor
async def test_a_unix_socket_does_the_same_without_a_secret(tmp_path: Path) -> None:
    async with session_with(StandIn(), at=unix_access_point(tmp_path)) as session:
        assert await session.backup("/home/ada/photo.jpg", 2) == BACKUP


@in_reactor
async def test_a_path_that_is_no_utf_8_arrives_byte_for_byte() -> None:
    operations = StandIn()
    path = "/home/ada/caf\udce9 \u00e9.txt"
    operations.pages = {"": evolve(PAGE, files=(evolve(PAGE.files[0], path=path),))}
    async with session_with(operations) as session:
        await session.restore(path)
        state = await session.state()
    assert operations.asked[0] == ("restore", path)
    assert state.files[0].path == path


@in_reactor
async def test_the_state_comes_in_pages_and_the_parts_of_a_file_are_joined() -> None:
    """An AMP value ends at 65,535 bytes; a page of 500 files with long paths is far larger (SPEC.md 10.4)."""
    large = FileState(
        path="/large",
        file_id="3c" * 32,
        desired=1,
        chunk_count=2,
        is_complete=True,
        chunks=tuple((no, 1) for no in range(500)),
    )
    rest = evolve(large, chunks=tuple((no, 2) for no in range(500, 777)))
    long_paths = tuple(
        FileState(
            path="/" + "\x01" * 4_000,
            file_id=f"{no:064x}",
            desired=1,
            chunk_count=2,
            is_complete=True,
            chunks=((0, 1),),
        )
        for no in range(500)
    )
    operations = StandIn(
        pages={
            "": StatePage(files=(large,), chunks=(), cursor="after 499"),
            "after 499": StatePage(files=(rest,), chunks=(), cursor="more"),
            "more": StatePage(files=long_paths, chunks=PAGE.chunks, cursor=""),
        }
    )
    async with session_with(operations) as session:
        state = await session.state()
    assert state.summary == SUMMARY
    assert state.files == (evolve(large, chunks=large.chunks + rest.chunks), *long_paths)
    assert state.chunks == PAGE.chunks


@in_reactor
async def test_an_empty_state_is_one_empty_page() -> None:
    async with session_with(StandIn(pages={"": StatePage(files=(), chunks=(), cursor="")})) as session:
        state = await session.state()
    assert (state.files, state.chunks) == ((), ())


@pytest.mark.parametrize("code", list(ErrorCode))
@in_reactor
async def test_every_error_arrives_with_its_code_and_its_sentence(code: ErrorCode) -> None:
    async with session_with(StandIn(failure=OperationError(code, "a sentence – of its own"))) as session:
        with pytest.raises(OperationError) as caught:
            await session.delete("/home/ada/photo.jpg")
    assert (caught.value.code, caught.value.sentence) == (code, "a sentence – of its own")


@in_reactor
async def test_a_sentence_of_any_length_arrives_as_one_short_line() -> None:
    async with session_with(
        StandIn(failure=OperationError(ErrorCode.DISK_FULL, "a\nb " * 100_000))
    ) as session:
        with pytest.raises(OperationError) as caught:
            await session.delete("/home/ada/photo.jpg")
    assert caught.value.sentence.startswith("a b a b")
    assert len(caught.value.sentence) <= 1_000


@in_reactor
async def test_a_mistake_in_the_peer_is_told_without_its_details_and_the_session_goes_on() -> None:
    operations = StandIn(failure=ZeroDivisionError("at 0x7f"))
    async with session_with(operations) as session:
        with pytest.raises(OperationError) as caught:
            await session.delete("/home/ada/photo.jpg")
        assert caught.value.code is ErrorCode.INTERNAL
        assert "0x7f" not in caught.value.sentence
        operations.failure = None
        assert await session.summary() == SUMMARY


@in_reactor
async def test_a_report_that_makes_no_sense_is_a_mistake_in_the_peer_too() -> None:
    async with session_with(StandIn(backup_report=evolve(BACKUP, perceived_min=-1))) as session:
        with pytest.raises(OperationError) as caught:
            await session.backup("/home/ada/photo.jpg", 1)
        assert caught.value.code is ErrorCode.INTERNAL
        assert await session.summary() == SUMMARY


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("photo.jpg", ErrorCode.PATH_NOT_ABSOLUTE),
        ("", ErrorCode.PATH_NOT_ABSOLUTE),
        ("/a\0b", ErrorCode.USAGE),
        ("/" + "x" * 4_096, ErrorCode.USAGE),
    ],
)
@in_reactor
async def test_a_path_that_can_name_no_file_never_reaches_the_peer(path: str, code: ErrorCode) -> None:
    operations = StandIn()
    async with session_with(operations) as session:
        for attempt in (session.backup(path, 1), session.restore(path), session.delete(path)):
            with pytest.raises(OperationError) as caught:
                await attempt
            assert caught.value.code is code
    assert operations.asked == []


@pytest.mark.parametrize("degree", [0, 10])
@in_reactor
async def test_a_degree_outside_1_to_9_never_reaches_the_peer(degree: int) -> None:
    operations = StandIn()
    async with session_with(operations) as session:
        with pytest.raises(OperationError) as caught:
            await session.backup("/home/ada/photo.jpg", degree)
    assert caught.value.code is ErrorCode.USAGE
    assert operations.asked == []


@pytest.mark.parametrize(("path", "kbytes"), [("/" + "x" * 70_000, 0), ("/x", 10**30), ("/x", -1)])
@in_reactor
async def test_what_no_field_can_carry_is_refused_before_it_is_sent(path: str, kbytes: int) -> None:
    async with session_with(StandIn()) as session:
        with pytest.raises(OperationError) as caught:
            await (session.restore(path) if kbytes == 0 else session.reclaim(kbytes))
        assert caught.value.code is ErrorCode.USAGE
        assert await session.summary() == SUMMARY


@in_reactor
async def test_a_peer_of_version_1_0_refuses_each_enhanced_subprotocol_with_one_sentence() -> None:
    operations = StandIn()
    async with session_with(operations) as session:
        for name, attempt in {
            "BACKUPENH": session.backup("/a", 1, enhanced=True),
            "RESTOREENH": session.restore("/a", enhanced=True),
            "DELETEENH": session.delete("/a", enhanced=True),
            "RECLAIMENH": session.reclaim(0, enhanced=True),
        }.items():
            with pytest.raises(OperationError, match=name) as caught:
                await attempt
            assert caught.value.code is ErrorCode.NOT_ENHANCED
    assert operations.asked == []


@in_reactor
async def test_progress_is_pushed_to_the_one_who_asked_and_the_last_always_comes() -> None:
    operations = StandIn(pending=Deferred())
    heard: list[Progress] = []
    async with session_with(operations) as session:
        backup = Deferred.fromCoroutine(session.backup("/home/ada/photo.jpg", 2, progress=heard.append))
        while operations.progress is None:
            await session.summary()
        for done in range(12):
            operations.progress(Progress(done=done, total=11))
        assert operations.pending is not None
        operations.pending.callback(BACKUP)
        assert await backup == BACKUP
    assert heard[0] == Progress(done=0, total=11)
    assert heard[-1] == Progress(done=11, total=11)
    assert len(heard) == 2, "what comes within one interval is not worth a report each"


@in_reactor
async def test_an_operation_goes_on_when_the_one_who_asked_goes_away() -> None:
    operations = StandIn(pending=Deferred())
    async with session_with(operations) as session:
        lost = Deferred.fromCoroutine(session.backup("/home/ada/photo.jpg", 2))
        while not operations.asked:
            await session.summary()
        await session.close()
        with pytest.raises(OperationError) as caught:
            await lost
        assert caught.value.code is ErrorCode.CONNECTION_LOST
        assert operations.pending is not None
        assert not operations.pending.called
        assert operations.progress is not None
        operations.progress(Progress(done=5, total=11))
        operations.pending.callback(BACKUP)


@in_reactor
async def test_answers_may_overtake_each_other() -> None:
    operations = StandIn(pending=Deferred())
    async with session_with(operations) as session:
        slow = Deferred.fromCoroutine(session.backup("/home/ada/photo.jpg", 2))
        assert await session.restore("/home/ada/photo.jpg") == RESTORE
        assert operations.pending is not None
        operations.pending.callback(BACKUP)
        assert await slow == BACKUP
