"""What to accept: the forms of datagrams that were seen, by the letters that they came from (SPEC.md 12.3 to 12.7)."""

from __future__ import annotations

import pytest

from peer.config import DEFAULT_GROUPS
from protocol.errors import DropReason
from protocol.messages import Chunk, GetChunk
from protocol.values import ChunkId, FileId
from tests.interop.street import (
    ANSWERED,
    BODY,
    CHUNK,
    FIVE_TRIES,
    ID,
    PATH,
    back_up,
    dropped,
    join,
    perceived,
    received,
    send,
    street,
)
from tests.support.group import Group
from tests.support.stranger import Stranger
from tests.support.strangers import FAMILIES

MALFORMED = {
    # From three families.
    "DELETE of null": (b"DELETE 1.0 1 null \r\n\r\n", DropReason.BAD_FILE_ID),
    "DELETE with a fifth field": (b"DELETE 1.0 1 " + ID + b" -1 \r\n\r\n", DropReason.WRONG_FIELD_COUNT),
    "PUTCHUNK of a file by name": (
        b"PUTCHUNK 1.0 1 ChunksRecorder.ser 0 1 \r\n\r\nbody",
        DropReason.BAD_FILE_ID,
    ),
    "STORED of a file by name": (b"STORED 1.0 1 ChunksRecorder.ser 0 \r\n\r\n", DropReason.BAD_FILE_ID),
    # Probes.
    "a sender of 65 bits": (
        b"STORED 1.0 18446744073709551616 " + ID + b" 0 \r\n\r\n",
        DropReason.BAD_SENDER_ID,
    ),
    "no byte": (b"", DropReason.EMPTY),
    "three bytes of garbage": (b"\x00\xff\x80", DropReason.NO_HEADER_END),
    "tabs": (b"STORED\t1.0\t1\t" + ID + b"\t0\r\n\r\n", DropReason.MALFORMED_HEADER),
    "a leading CRLF": (b"\r\nSTORED 1.0 1 " + ID + b" 0 \r\n\r\n", DropReason.MALFORMED_HEADER),
}


class TestSpaces:
    """No space, one or several before CRLF CRLF, several between fields."""

    @pytest.mark.parametrize("letter", "EFI")
    def test_none_at_the_end_from_e_f_and_i(self, letter: str) -> None:
        """SPEC.md 2.2, 12.3."""
        with street(2, letter) as (group, [home]):
            assert not FAMILIES[letter].final_spaces
            home.backup("photo", BODY, 2)
            group.pass_time(ANSWERED)
            assert list(home.answered.values()) == [{1, 2}]
            assert dropped(group[1]) == dropped(group[2]) == {}

    @pytest.mark.parametrize("gap", [b"  ", b"     "])
    @pytest.mark.parametrize("end", [b"", b" ", b"  ", b"      "])
    def test_any_number_anywhere(self, gap: bytes, end: bytes) -> None:
        with street(1) as (group, []):
            fields = [b"PUTCHUNK", b"1.0", b"11", ID, b"0", b"1"]
            send(group, gap.join(fields) + end + b"\r\n\r\n" + BODY, DEFAULT_GROUPS.mdb)
            [held] = group[1].held()
            assert (held.chunk_id, held.length) == (CHUNK, len(BODY))


class TestCase:
    """FileIds in upper case, from B, C and H, which compare them as text."""

    @pytest.mark.parametrize("letter", "BCH")
    def test_b_c_and_h_are_answered_in_their_own_spelling(self, letter: str) -> None:
        """SPEC.md 12.13: in lower case they would know neither the STORED nor the CHUNK for an answer."""
        with street(2, letter) as (group, [home]):
            file_id = home.backup("photo", BODY, 2)
            assert file_id == file_id.upper() != file_id.lower()
            group.pass_time(ANSWERED)
            assert list(home.answered.values()) == [{1, 2}]
            home.restore("photo")
            group.pass_time(ANSWERED)
            assert home.restored("photo") == BODY

    @pytest.mark.parametrize("letter", "BCH")
    def test_the_copy_is_one_in_either_case(self, letter: str) -> None:
        """SPEC.md 1.5."""
        with street(1, letter) as (group, [home]):
            file_id = home.backup("photo", BODY)
            group.pass_time(ANSWERED)
            home.stop()
            stranger = Stranger(group)
            chunk = ChunkId(FileId.from_hex(file_id), 0)
            stranger.putchunk(chunk, BODY)
            stranger.getchunk(chunk)
            group.pass_time(ANSWERED)
            assert [held.chunk_id for held in group[1].held()] == [chunk]
            assert [said.body for said in stranger.heard(Chunk)] == [BODY]
            stranger.delete(chunk.file_id)
            group.pass_time(ANSWERED)
            assert group[1].held() == []

    @pytest.mark.parametrize("letter", "BCH")
    def test_a_repair_by_ours_is_of_their_file_and_not_of_another(self, letter: str) -> None:
        """SPEC.md 12.13: the PUTCHUNK after a REMOVED too."""
        with street(1, letter, letter) as (group, [home, holder]):
            file_id = home.backup("photo", BODY, 2)
            group.pass_time(ANSWERED)
            holder.give_up((file_id, 0))
            group.pass_time(2.0)
            assert set(holder.held) <= {(file_id, 0)}
            assert set(home.held) <= {(file_id, 0)}

    def test_a_file_of_ours_stays_in_lower_case_whoever_holds_it(self) -> None:
        with street(2, "B", "C", "H") as (group, holders):
            said: list[bytes] = []
            group.lan.tap(lambda datagram: said.append(datagram.payload))
            file_id = back_up(group, BODY, 4).hex()
            holders[0].give_up((file_id, 0))
            group.pass_time(FIVE_TRIES)
            assert group[1].restore(PATH) == BODY
            assert not any(file_id.upper().encode() in datagram for datagram in said)


class TestGroups:
    """GETCHUNK on MDB or MDR, CHUNK and PUTCHUNK on MC, from G and two others."""

    def test_g_is_answered_though_it_asks_on_mdr(self) -> None:
        """SPEC.md 2.8, 12.5."""
        with street(1, "G") as (group, [home]):
            heard = Stranger(group)
            home.backup("photo", BODY)
            group.pass_time(ANSWERED)
            home.restore("photo")
            group.pass_time(ANSWERED)
            assert home.restored("photo") == BODY
            [asked] = [each for each in heard.everything if isinstance(each.message, GetChunk)]
            assert asked.group == DEFAULT_GROUPS.mdr

    @pytest.mark.parametrize("group_name", ["mc", "mdb", "mdr"])
    def test_every_type_is_taken_from_every_group(self, group_name: str) -> None:
        """SPEC.md 2.8, 12.5."""
        with street(1) as (group, []):
            where = getattr(DEFAULT_GROUPS, group_name)
            for said in (
                b"PUTCHUNK 1.0 11 " + ID + b" 0 1 \r\n\r\n" + BODY,
                b"STORED 1.0 12 " + ID + b" 0 \r\n\r\n",
                b"GETCHUNK 1.0 11 " + ID + b" 0 \r\n\r\n",
                b"CHUNK 1.0 13 " + ID + b" 0 \r\n\r\n" + BODY,
                b"REMOVED 1.0 12 " + ID + b" 0 \r\n\r\n",
            ):
                send(group, said, where)
                assert received(group[1], said.split()[0].decode()) == 1
                group.pass_time(ANSWERED)
            [held] = group[1].held()
            assert held.holders == {1, 13}
            send(group, b"DELETE 1.0 11 " + ID + b" \r\n\r\n", where)
            assert group[1].held() == []


class TestUnknownTypes:
    """With three fields, on MC, from A, H and J that were started as 1.0."""

    @pytest.mark.parametrize("letter", "AHJ")
    def test_a_h_and_j_are_not_answered_and_live_with_us_as_others_do(self, letter: str) -> None:
        """SPEC.md 2.16, 12.7."""
        with street(1) as (group, []):
            newcomer = join(group, letter)
            group.pass_time(2.0)
            assert dropped(group[1]) == {DropReason.UNKNOWN_TYPE: 1}
            assert [message for _, host, message in group.sent if host == "10.0.0.1"] == []
            newcomer.backup("photo", BODY)
            group.pass_time(ANSWERED)
            assert list(newcomer.answered.values()) == [{1}]

    def test_a_s_question_about_deletions_has_a_second_line(self) -> None:
        with street(1) as (group, []):
            send(group, b"QUERYDELETED 1.0 1 \r\n43409 \r\n\r\n")
            assert dropped(group[1]) == {DropReason.UNKNOWN_TYPE: 1}


class TestMalformed:
    @pytest.mark.parametrize("what", MALFORMED)
    def test_it_is_dropped_and_counted_and_the_listener_goes_on(self, what: str) -> None:
        """SPEC.md 2.15, 2.16, 12.7."""
        datagram, reason = MALFORMED[what]
        with street(2) as (group, []):
            file_id = back_up(group, BODY)
            for where in (DEFAULT_GROUPS.mc, DEFAULT_GROUPS.mdb, DEFAULT_GROUPS.mdr):
                send(group, datagram, where)
            assert dropped(group[1]) == dropped(group[2]) == {reason: 3}
            assert [held.chunk_id.file_id for held in group[2].held()] == [file_id]
            assert group[1].restore(PATH) == BODY

    @pytest.mark.parametrize("sender", [2**32, 2**63, 2**64 - 1])
    def test_a_sender_id_above_32_bits_is_one_as_long_as_it_is_below_64(self, sender: int) -> None:
        """SPEC.md 2.5."""
        with street(1) as (group, []):
            Stranger(group).putchunk(CHUNK, BODY, 2)
            group.pass_time(ANSWERED)
            send(group, b"STORED 1.0 %d " % sender + ID + b" 0 \r\n\r\n")
            group.pass_time(ANSWERED)
            assert group[1].held()[0].holders == {1, sender}


class TestAddresses:
    @pytest.mark.parametrize("letter", "AC")
    def test_a_s_and_c_s_of_one_computer_share_an_address_and_are_two_peers(self, letter: str) -> None:
        """SPEC.md 3.39, 12.9: they send from the socket of the group."""
        with Group(1) as group:
            holders = [join(group, letter, peer_id, host="10.0.0.11") for peer_id in (11, 12)]
            sources = set()
            group.lan.tap(lambda datagram: sources.add(datagram.source))
            back_up(group, BODY, 2)
            assert perceived(group[1], PATH) == [{11, 12}]
            assert len({source for source in sources if source[0] == "10.0.0.11"}) == 1
            assert group[1].restore(PATH) == BODY
            for holder in holders:
                holder.stop()

    @pytest.mark.parametrize("letter", "AC")
    def test_one_on_our_own_computer_is_no_echo(self, letter: str) -> None:
        """SPEC.md 2.11."""
        with Group(1) as group:
            home = join(group, letter, 11, host="10.0.0.1")
            home.backup("photo", BODY)
            group.pass_time(ANSWERED)
            assert list(home.answered.values()) == [{1}]
            home.stop()
