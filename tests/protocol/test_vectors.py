"""The wire vectors of SPEC.md, appendix A, each run both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.codec import parse, serialize
from protocol.errors import DropReason, ProtocolError
from protocol.values import Edition
from tests.protocol.vectors import Vector, read_vectors

TYPES = {"PUTCHUNK", "STORED", "GETCHUNK", "CHUNK", "DELETE", "REMOVED"}


@pytest.fixture(scope="module", name="vectors")
def read_once() -> tuple[Vector, ...]:
    return read_vectors()


def test_every_datagram_gives_its_message_or_its_drop(vectors: tuple[Vector, ...]) -> None:
    """SPEC.md 2.4, 2.16, 2.17, 2.18, 2.20 and appendix A."""
    for vector in vectors:
        if isinstance(vector.outcome, DropReason):
            with pytest.raises(ProtocolError) as dropped:
                parse(vector.datagram)
            assert dropped.value.reason is vector.outcome, vector.name
        else:
            assert parse(vector.datagram) == vector.outcome, vector.name


def test_what_we_send_is_the_datagram_byte_for_byte(vectors: tuple[Vector, ...]) -> None:
    """SPEC.md 2.7 and appendix A."""
    for vector in vectors:
        if vector.edition is not None and not isinstance(vector.outcome, DropReason):
            assert serialize(vector.outcome, vector.edition) == vector.datagram, vector.name


def test_what_was_accepted_can_be_sent_on_in_either_edition(vectors: tuple[Vector, ...]) -> None:
    """SPEC.md 2.3: the editions differ in nothing but the order of the first two fields."""
    for vector in vectors:
        if not isinstance(vector.outcome, DropReason):
            for edition in Edition:
                assert parse(serialize(vector.outcome, edition)) == vector.outcome, vector.name


def test_every_type_in_both_editions_and_every_reason_has_a_vector(vectors: tuple[Vector, ...]) -> None:
    """SPEC.md 2.3, 2.6 and 2.18: none of the three lists can grow without appendix A."""
    sent = {
        (vector.outcome.message_type, vector.edition)
        for vector in vectors
        if vector.edition is not None and not isinstance(vector.outcome, DropReason)
    }
    assert sent == {(message_type, edition) for message_type in TYPES for edition in Edition}
    assert {vector.outcome for vector in vectors if isinstance(vector.outcome, DropReason)} == set(DropReason)


class TestReadingTheVectors:
    """A reader that passed over what it can't read would prove nothing."""

    def read(self, folder: Path, *lines: str) -> tuple[Vector, ...]:
        spec = folder / "SPEC.md"
        spec.write_text("\n".join(["# Title", "```vectors", *lines, "```", "text"]), encoding="utf-8")
        return read_vectors(spec)

    def test_escapes_and_abbreviations_become_bytes(self, tmp_path: Path) -> None:
        (vector,) = self.read(
            tmp_path, "{x} = STORED 1", "# why", "", r"a | * | EMPTY | {x}\r\n\x7c{zeros:3}|"
        )
        assert vector == Vector("a", None, b"STORED 1\r\n\x7c\0\0\0", DropReason.EMPTY)

    @pytest.mark.parametrize(
        "line",
        [
            "a | * | ok | x |",
            "a | * | ok | x | Stored version=1.0 sender_id=1",
            "a | * | ok | x | Delete version=1.0 sender_id=1 file_id=" + "0" * 64 + " chunk_no=1",
            "a | type-last | EMPTY | |",
            "a | * | NO_SUCH_REASON | |",
            r"a | * | EMPTY | \q |",
            "a | * | EMPTY | {unknown} |",
            "a | * | EMPTY",
        ],
    )
    def test_a_line_that_says_nothing_is_an_error(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(ValueError, match="not a vector"):
            self.read(tmp_path, line)

    def test_a_name_is_given_once(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="more than one"):
            self.read(tmp_path, "a | * | EMPTY | |", "a | * | EMPTY | |")

    def test_a_document_without_vectors_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no block"):
            self.read(tmp_path)
