"""The settings of a peer, read from its options (SPEC.md 7.1, 2.3, 2.14, 11.5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from peer.config import (
    DEFAULT_GROUPS,
    NO_SEND_LIMIT,
    GroupAddress,
    Groups,
    PeerConfig,
    SettingError,
    data_folder,
)
from peer.control.access_point import AccessPoint
from peer.tap import Options
from protocol.timing import LAST_COPY_GRACE
from protocol.values import MAX_DRAWN_PEER_ID, VERSION_1_0, Edition

HOME = {"XDG_DATA_HOME": "/data"}


def read(*arguments: str) -> PeerConfig:
    """The settings that a command line means."""
    options = Options()
    options.parseOptions(["--store", "/data/store", *arguments])
    config: PeerConfig = options["config"]
    return config


def refusal(*arguments: str) -> str:
    """The sentence with which a command line is refused."""
    options = {**defaults(), **dict(zip(arguments[::2], arguments[1::2], strict=True))}
    with pytest.raises(SettingError) as raised:
        PeerConfig.from_options(options, HOME)
    return str(raised.value)


def defaults() -> dict[str, str | None]:
    """Every option as it is when nobody gives it."""
    parameters: list[list[str | None]] = Options.optParameters
    return {str(name): default for name, _short, default, _meaning in parameters}


class TestDefaults:
    def test_every_option_has_one_that_works(self) -> None:
        """SPEC.md 7.1, 2.14."""
        assert PeerConfig.from_options(defaults(), HOME) == PeerConfig(
            store="/data/backup-peer",
            peer_id=None,
            version=VERSION_1_0,
            edition=Edition.TYPE_FIRST,
            groups=Groups(
                mc=GroupAddress("239.192.7.1", 7001),
                mdb=GroupAddress("239.192.7.2", 7002),
                mdr=GroupAddress("239.192.7.3", 7003),
            ),
            interface=None,
            ttl=1,
            receive_buffer_bytes=33_554_432,
            capacity_bytes=None,
            control=AccessPoint(host="127.0.0.1", port=7600),
            last_copy_grace=LAST_COPY_GRACE,
            scrub_period=2_592_000.0,
            send_limit=NO_SEND_LIMIT,
        )

    def test_they_are_those_of_a_configuration_made_by_hand(self) -> None:
        assert PeerConfig.from_options(defaults(), HOME) == PeerConfig(store="/data/backup-peer")

    @pytest.mark.parametrize(
        ("environment", "folder"),
        [
            ({"XDG_DATA_HOME": "/data"}, Path("/data/backup-peer")),
            ({"XDG_DATA_HOME": "data"}, Path.home() / ".local/share/backup-peer"),
            ({"XDG_DATA_HOME": ""}, Path.home() / ".local/share/backup-peer"),
            ({}, Path.home() / ".local/share/backup-peer"),
        ],
    )
    def test_the_store_is_in_the_users_data_folder(self, environment: dict[str, str], folder: Path) -> None:
        """SPEC.md 7.1: unless the variable is no absolute path."""
        assert data_folder(environment) == folder


class TestOptions:
    def test_each_can_be_given(self) -> None:
        """SPEC.md 7.1, 2.3."""
        groups = ["--mc", "224.0.0.1:1", "--mdb", "239.255.255.255:65535", "--mdr", "230.1.2.3:4000"]
        rest = ["--id", "7", "--protocol-version", "1.0", "--edition", "version-first", "--ttl", "0"]
        rest += ["--interface", "127.0.0.1", "--capacity", "640", "--control", "/run/peer.socket"]
        rest += ["--receive-buffer", "65536", "--last-copy-grace", "0", "--send-limit", "12"]
        rest += ["--scrub-days", "0.5"]
        assert read(*groups, *rest) == PeerConfig(
            store="/data/store",
            peer_id=7,  # type: ignore[arg-type]  # PeerId is an int
            edition=Edition.VERSION_FIRST,
            groups=Groups(
                mc=GroupAddress("224.0.0.1", 1),
                mdb=GroupAddress("239.255.255.255", 65_535),
                mdr=GroupAddress("230.1.2.3", 4000),
            ),
            interface="127.0.0.1",
            ttl=0,
            receive_buffer_bytes=65_536,
            capacity_bytes=640_000,
            control=AccessPoint(path="/run/peer.socket"),
            last_copy_grace=0.0,
            scrub_period=43_200.0,
            send_limit=12_000_000,
        )

    def test_the_capacity_is_in_kbyte_of_1000_bytes(self) -> None:
        """SPEC.md 7.1."""
        assert read("--capacity", "1").capacity_bytes == 1_000
        assert read("--capacity", "0").capacity_bytes == 0
        assert read("--capacity", "auto").capacity_bytes is None

    def test_the_grace_is_in_hours(self) -> None:
        """SPEC.md 7.1."""
        assert read("--last-copy-grace", "2").last_copy_grace == 7_200.0

    def test_the_scrub_is_in_days_or_none(self) -> None:
        """SPEC.md 7.1, 9.29."""
        assert read("--scrub-days", "7").scrub_period == 604_800.0
        assert read("--scrub-days", "0.0001").scrub_period == pytest.approx(8.64)
        assert read("--scrub-days", "none").scrub_period is None

    @pytest.mark.parametrize("peer_id", [0, 1, MAX_DRAWN_PEER_ID])
    def test_an_id_is_from_0_to_31_bits(self, peer_id: int) -> None:
        """SPEC.md 7.1, 12.1."""
        assert read("--id", str(peer_id)).peer_id == peer_id

    def test_a_relative_store_is_made_absolute(self) -> None:
        options = Options()
        options.parseOptions(["--store", "here"])
        assert Path(options["config"].store) == Path.cwd() / "here"


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("send-limit", "0"),
            ("send-limit", "1.5"),
            ("send-limit", ""),
            ("id", "-1"),
            ("id", str(MAX_DRAWN_PEER_ID + 1)),
            ("id", "seven"),
            ("id", "٧"),
            ("id", "1.0"),
            ("id", "0" * 20 + "99999999999"),
            ("id", "9" * 5_000),
            ("protocol-version", "2.0"),
            ("protocol-version", "1"),
            ("edition", "first"),
            ("mc", "239.192.7.1"),
            ("mc", "7001"),
            ("mc", ""),
            ("mdb", "192.168.1.1:7001"),
            ("mdb", "240.0.0.1:7001"),
            ("mdr", "239.192.7.1:0"),
            ("mdr", "239.192.7.1:65536"),
            ("mdr", "239.192.7.1:port"),
            ("mdr", "239.192.7.1:7_001"),
            ("mdr", "239.192.7.1: 7001"),
            ("mdr", "239.192.7.1:-7001"),
            ("mdr", "group.example:7001"),
            ("interface", "eth0"),
            ("interface", "::1"),
            ("ttl", "-1"),
            ("ttl", "256"),
            ("receive-buffer", "65535"),
            ("receive-buffer", "32M"),
            ("capacity", "-1"),
            ("capacity", "all"),
            ("capacity", "1e6"),
            ("control", "localhost:0x10"),
            ("control", "127.0.0.1:70000"),
            ("last-copy-grace", "1.5"),
            ("scrub-days", "0"),
            ("scrub-days", "0.00001"),
            ("scrub-days", "3651"),
            ("scrub-days", "-1"),
            ("scrub-days", "1e2"),
            ("scrub-days", "monthly"),
        ],
    )
    def test_what_makes_no_sense_is_refused_in_one_sentence_that_shows_it(
        self, name: str, value: str
    ) -> None:
        sentence = refusal(name, value)
        assert "\n" not in sentence
        assert repr(value)[:40].rstrip("'") in sentence or name in sentence

    def test_the_command_line_says_so_and_ends_with_status_2(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """SPEC.md 7.7, 7.8: wrong usage, and no traceback."""
        with pytest.raises(SystemExit) as ended:
            read("--ttl", "999")
        assert ended.value.code == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.count("\n") == 1
        assert "--ttl" in told.err


class TestGroupAddress:
    @pytest.mark.parametrize("text", ["239.192.7.1:7001", "224.0.0.0:1", "239.255.255.255:65535"])
    def test_it_is_written_as_it_is_read(self, text: str) -> None:
        assert str(GroupAddress.parse(text)) == text

    def test_the_default_groups_are_three(self) -> None:
        """SPEC.md 1.3, 2.14."""
        assert len({DEFAULT_GROUPS.mc, DEFAULT_GROUPS.mdb, DEFAULT_GROUPS.mdr}) == 3
