"""A fileId is answered as it is asked for (SPEC.md 2.7, 12.13)."""

from __future__ import annotations

from protocol.codec import parse, serialize
from protocol.limits import MAX_UPPER_CASE_IDS
from protocol.messages import GetChunk, PutChunk, Stored
from protocol.spelling import UpperCaseIds
from protocol.values import VERSION_1_0, Edition, FileId, PeerId

FILE_ID = FileId(bytes.fromhex("ab" * 32))
UPPER = b"PUTCHUNK 1.0 1 " + b"AB" * 32 + b" 0 1 \r\n\r\nbody"
LOWER = UPPER.replace(b"AB", b"ab")


def hear(ids: UpperCaseIds, datagram: bytes) -> None:
    ids.heard(parse(datagram), datagram)


def test_an_id_that_is_put_in_upper_case_is_answered_in_upper_case() -> None:
    ids = UpperCaseIds()
    hear(ids, UPPER)
    assert FILE_ID in ids
    stored = Stored(VERSION_1_0, PeerId(2), FILE_ID, 0)
    said = serialize(stored, Edition.TYPE_FIRST, upper_case_id=FILE_ID in ids)
    assert said == b"STORED 1.0 2 " + b"AB" * 32 + b" 0 \r\n\r\n"


def test_the_latest_spelling_counts() -> None:
    ids = UpperCaseIds()
    hear(ids, UPPER)
    hear(ids, LOWER)
    assert FILE_ID not in ids
    hear(ids, b"GETCHUNK 1.0 1 " + b"AB" * 32 + b" 0 \r\n\r\n")
    assert FILE_ID in ids


def test_an_answer_tells_nothing_of_how_the_asker_spells() -> None:
    ids = UpperCaseIds()
    hear(ids, UPPER.replace(b"PUTCHUNK", b"CHUNK").replace(b" 0 1 ", b" 0 "))
    hear(ids, b"STORED 1.0 3 " + b"AB" * 32 + b" 0 \r\n\r\n")
    assert FILE_ID not in ids


def test_an_id_without_letters_has_one_spelling() -> None:
    ids = UpperCaseIds()
    digits = FileId(bytes.fromhex("12" * 32))
    message = GetChunk(VERSION_1_0, PeerId(1), digits, 0)
    ids.heard(message, serialize(message))
    assert digits not in ids


def test_a_flood_of_ids_makes_the_memory_no_larger() -> None:
    ids = UpperCaseIds()
    for number in range(MAX_UPPER_CASE_IDS + 10):
        file_id = FileId(b"\xab" * 28 + number.to_bytes(4, "big"))
        message = PutChunk(VERSION_1_0, PeerId(1), file_id, 0, 1, b"")
        ids.heard(message, serialize(message, upper_case_id=True))
    assert len(ids) == MAX_UPPER_CASE_IDS
