"""What a peer answered, as people and programs read it (SPEC.md section 7)."""

import io
import json
import re
from random import Random

import pytest
from attrs import evolve

from peer.control.interfaces import ChunkState, DeleteReport, FileState, Progress
from peer.control.session import State
from tests.peer.control.stand_in import BACKUP, FILE_ID, PAGE, RECLAIM, RESTORE, SUMMARY
from tools.progress_line import ProgressLine, drawn
from tools.rendering import Report, as_object, as_text, printable, runs, shortfall
from tools.request import Request, parse

STATE = State(summary=SUMMARY, files=PAGE.files, chunks=PAGE.chunks)
REQUEST: Request = parse(["7600", "RESTORE", "/home/ada/photo.jpg"])


@pytest.mark.parametrize(
    ("report", "keys"),
    [
        (BACKUP, "file_id bytes chunks desired perceived_min below_degree seconds"),
        (RESTORE, "file_id path bytes chunks seconds"),
        (DeleteReport(file_id=FILE_ID), "file_id"),
        (RECLAIM, "capacity_kbytes used_kbytes removed_chunks unplaced_chunks"),
        (STATE, "peer version capacity_kbytes used_kbytes files chunks"),
    ],
)
def test_each_report_is_one_object_with_the_keys_that_programs_rely_on(report: Report, keys: str) -> None:
    assert set(json.loads(json.dumps(as_object(report)))) == set(keys.split())


def test_the_state_as_an_object() -> None:
    assert as_object(STATE) == {
        "peer": 2**63,
        "version": "1.0",
        "capacity_kbytes": 10_000,
        "used_kbytes": 128,
        "files": [
            {
                "path": "/home/ada/photo.jpg",
                "file_id": FILE_ID,
                "desired": 2,
                "chunk_count": 2,
                "is_complete": True,
                "chunks": [{"no": 0, "perceived": 2}, {"no": 1, "perceived": 1}],
            }
        ],
        "chunks": [
            {"file_id": "2b" * 32, "no": 0, "kbytes": 64, "desired": 1, "perceived": 1},
            {"file_id": "2b" * 32, "no": 1, "kbytes": 0, "desired": 1, "perceived": 3},
        ],
    }


def test_the_size_of_a_chunk_in_kbyte_is_exact() -> None:
    chunk = evolve(PAGE.chunks[0], length=12_345)
    shown = json.dumps(as_object(evolve(STATE, chunks=(chunk,))))
    assert json.loads(shown)["chunks"][0]["kbytes"] == 12.345


def test_the_state_of_a_file_with_thousands_of_chunks_stays_readable() -> None:
    degrees = [2] * 2_000 + [1] + [2] * 3_000 + [0, 0]
    file = FileState(
        path="/big",
        file_id=FILE_ID,
        desired=2,
        chunk_count=len(degrees),
        is_complete=True,
        chunks=tuple(enumerate(degrees)),
    )
    held = tuple(
        ChunkState(file_id=FILE_ID, no=no, length=64_000, desired=2, perceived=2) for no in range(4_000)
    )
    text = as_text(REQUEST, evolve(STATE, files=(file,), chunks=held))
    assert "0-1999: 2  2000: 1  2001-5000: 2  5001-5002: 0" in text
    assert "0-3999" in text
    assert len(text.splitlines()) < 20


def test_of_each_chunk_the_degree_can_be_told_however_they_differ() -> None:
    """SPEC.md 7.13: STATE reports for each chunk its number and perceived degree."""
    random = Random(1)
    chunks = tuple((no, random.randrange(4)) for no in range(1_000))
    file = FileState(
        path="/big", file_id=FILE_ID, desired=2, chunk_count=len(chunks), is_complete=True, chunks=chunks
    )
    text = as_text(REQUEST, evolve(STATE, files=(file,)))
    assert max(map(len, text.splitlines())) <= 100
    told: dict[int, int] = {}
    for first, last, degree in re.findall(r"(\d+)(?:-(\d+))?: (\d)\b", text):
        told |= dict.fromkeys(range(int(first), int(last or first) + 1), int(degree))
    assert told == dict(chunks)


def test_runs_join_what_follows_and_is_equal() -> None:
    assert list(runs([])) == []
    assert list(runs([(0, "a"), (1, "a"), (3, "a"), (4, "b")])) == [("0-1", "a"), ("3", "a"), ("4", "b")]


def test_a_backup_that_kept_too_few_copies_says_of_how_many_chunks() -> None:
    assert shortfall(BACKUP) is None
    assert shortfall(RESTORE) is None
    few = shortfall(evolve(BACKUP, below_degree=3, perceived_min=1))
    assert few is not None
    assert few.startswith("3 of 11 chunks below degree 2 (the worst has 1)")


def test_what_could_not_be_placed_is_said_to_stay_for_now() -> None:
    """SPEC.md 7.9, 6.13."""
    kept = shortfall(evolve(RECLAIM, used_kbytes=1_064))
    assert kept is not None
    assert kept.startswith("64 KByte stay over the capacity, since no other peer took any of 1 chunk")
    assert shortfall(evolve(RECLAIM, unplaced_chunks=0)) is None


def test_a_degree_that_was_asked_for_before_and_still_holds_is_said() -> None:
    """SPEC.md 3.29: fewer copies than there are to be is nothing that a BACKUP does."""
    text = as_text(evolve(REQUEST, degree=1), evolve(BACKUP, desired=3))
    assert "Degree 3 was asked for before" in text
    assert "before" not in as_text(evolve(REQUEST, degree=3), evolve(BACKUP, desired=3))


def test_a_backup_that_is_not_complete_is_not_shown_as_if_it_were() -> None:
    """SPEC.md 7.13."""
    file = evolve(STATE.files[0], chunk_count=2_344, is_complete=False)
    assert "2,344 chunks; not complete, 2 recorded so far" in as_text(REQUEST, evolve(STATE, files=(file,)))
    assert "complete" not in as_text(REQUEST, STATE)


@pytest.mark.parametrize(
    "report",
    [BACKUP, RESTORE, DeleteReport(file_id=FILE_ID), RECLAIM, STATE, evolve(STATE, files=(), chunks=())],
)
def test_every_report_has_a_text(report: Report) -> None:
    text = as_text(REQUEST, report)
    assert text == text.strip()
    assert "{" not in text


def test_a_file_name_can_neither_move_the_cursor_nor_break_the_output() -> None:
    assert printable("a\x1b[2J\nb\udce9é ü") == "a\\x1b[2J\\nb\\udce9é ü"


def test_progress_is_a_line() -> None:
    assert drawn("BACKUP", Progress(done=50, total=200)) == (
        "BACKUP [#######.......................]  25%  50 of 200 chunks"
    )
    assert "100%  0 of 0" in drawn("BACKUP", Progress(done=0, total=0))
    assert "100%" in drawn("BACKUP", Progress(done=12, total=11))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_over_itself_on_a_terminal_and_gone_at_the_end() -> None:
    terminal = Terminal()
    line = ProgressLine(terminal, "BACKUP")
    line(Progress(done=1, total=2))
    line.clear()
    line.clear()
    assert terminal.getvalue().count("\r\x1b[K") == 2
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_progress_is_not_drawn_elsewhere_or_unasked() -> None:
    file, terminal = io.StringIO(), Terminal()
    ProgressLine(file, "BACKUP")(Progress(done=1, total=2))
    ProgressLine(terminal, "BACKUP", is_wanted=False)(Progress(done=1, total=2))
    assert (file.getvalue(), terminal.getvalue()) == ("", "")
