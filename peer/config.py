"""Every setting of a peer, as a value: its meaning, its unit, and what raising or lowering it costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Self

from attrs import frozen

from peer.control.access_point import AccessPoint, AccessPointError
from protocol.timing import LAST_COPY_GRACE
from protocol.values import MAX_DRAWN_PEER_ID, VERSION_1_0, Edition, PeerId, Version

KBYTE = 1000
"""Bytes in the KByte of RECLAIM, STATE and the capacity (SPEC.md section 7)."""

DEFAULT_CONTROL = AccessPoint(host="127.0.0.1", port=7600)
MBYTE = 1_000_000
"""Bytes in the MB of a send limit."""

NO_SEND_LIMIT = 0

DAY = 24 * 3600.0
DEFAULT_SCRUB_DAYS = 30
LEAST_SCRUB_DAYS = 0.0001
"""8.64 s: below that the scrub, which looks at most once a second, would no longer keep what it promises."""
MOST_SCRUB_DAYS = 3_650
DEFAULT_TTL = 1
DEFAULT_RECEIVE_BUFFER_BYTES = 32 * 1024 * 1024


class SettingError(ValueError):
    """A setting makes no sense; one sentence says which, and what it should look like."""


@frozen
class GroupAddress:
    """A multicast group: an IPv4 address in 224.0.0.0/4, and a UDP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``address:port``; SettingError for anything else."""
        host, _, port = text.rpartition(":")
        try:
            is_group = IPv4Address(host).is_multicast and _is_whole_number(port, 1, 65_535)
        except AddressValueError:
            is_group = False
        if not is_group:
            raise SettingError(
                f"{text!r} is no multicast group: give an address from 224.0.0.0 to 239.255.255.255 and a port, "
                f"as in {DEFAULT_GROUPS.mc}"
            )
        return cls(str(IPv4Address(host)), int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@frozen
class Groups:
    """The three groups of a backup group: control, data backup, data restore."""

    mc: GroupAddress
    mdb: GroupAddress
    mdr: GroupAddress


DEFAULT_GROUPS = Groups(
    mc=GroupAddress("239.192.7.1", 7001),
    mdb=GroupAddress("239.192.7.2", 7002),
    mdr=GroupAddress("239.192.7.3", 7003),
)
"""In 239.192.0.0/14, which RFC 2365 leaves to an organisation; SPEC.md section 2 states them."""


@frozen(kw_only=True)
class PeerConfig:
    """The settings of one peer."""

    store: str
    """Folder that the peer keeps everything in; made if missing."""
    peer_id: PeerId | None = None
    """None: that of the store, drawn once."""
    version: Version = VERSION_1_0
    edition: Edition = Edition.TYPE_FIRST
    """Order of a header's first two fields in what is sent; both are understood."""
    groups: Groups = DEFAULT_GROUPS
    interface: str | None = None
    """IPv4 address of the interface to use; None: the one that the system would send to the groups by."""
    ttl: int = DEFAULT_TTL
    """Of every datagram: 0 stays on this computer, 1 on this network; more crosses multicast routers."""
    receive_buffer_bytes: int = DEFAULT_RECEIVE_BUFFER_BYTES
    """Asked for each group. Too small loses chunks in bursts; too large costs memory only when it fills."""
    capacity_bytes: int | None = None
    """Lent to others; None: a share of the free disk, decided at the first start."""
    control: AccessPoint = DEFAULT_CONTROL
    last_copy_grace: float = LAST_COPY_GRACE
    """Seconds that a reclaimed chunk which nobody else takes is kept for the group."""
    scrub_period: float | None = DEFAULT_SCRUB_DAYS * DAY
    """Seconds in which every stored chunk is read once. Lower finds damage sooner and reads more; None: never."""
    send_limit: int = NO_SEND_LIMIT
    """Bytes a second of chunks that leave at the most. Lower leaves more of the network to others, for longer."""

    @classmethod
    def from_options(cls, options: Mapping[str, str | None], environment: Mapping[str, str]) -> Self:
        """Read the options of the command line; SettingError says which makes no sense."""

        def given(name: str) -> str:
            return options[name] or ""

        capacity = given("capacity")
        return cls(
            store=str(Path(given("store") or data_folder(environment)).absolute()),
            peer_id=PeerId(_whole_number("id", given("id"), 0, MAX_DRAWN_PEER_ID)) if given("id") else None,
            version=_version(given("protocol-version")),
            edition=_edition(given("edition")),
            groups=Groups(
                mc=GroupAddress.parse(given("mc")),
                mdb=GroupAddress.parse(given("mdb")),
                mdr=GroupAddress.parse(given("mdr")),
            ),
            interface=_interface(given("interface")),
            ttl=_whole_number("ttl", given("ttl"), 0, 255),
            receive_buffer_bytes=_whole_number("receive-buffer", given("receive-buffer"), 65_536, 2**30),
            capacity_bytes=(
                None if capacity == "auto" else _whole_number("capacity", capacity, 0, 2**50) * KBYTE
            ),
            control=_access_point(given("control")),
            last_copy_grace=_whole_number("last-copy-grace", given("last-copy-grace"), 0, 8_760) * 3600.0,
            scrub_period=_scrub_period(given("scrub-days")),
            send_limit=(
                NO_SEND_LIMIT
                if given("send-limit") == "none"
                else _whole_number("send-limit", given("send-limit"), 1, 999_999) * MBYTE
            ),
        )


def data_folder(environment: Mapping[str, str]) -> Path:
    """Where a peer keeps its store by default: ``$XDG_DATA_HOME/backup-peer``, by default in ``~/.local/share``."""
    configured = Path(environment.get("XDG_DATA_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".local" / "share"
    return base / "backup-peer"


def _is_whole_number(text: str, least: int, most: int) -> bool:
    """Whether it is one in plain digits; int() also takes signs, spaces, underscores and digits of other scripts."""
    return text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most


def _whole_number(name: str, text: str, least: int, most: int) -> int:
    if _is_whole_number(text, least, most):
        return int(text)
    raise SettingError(f"--{name} takes a whole number from {least} to {most}, not {text!r}.")


def _scrub_period(text: str) -> float | None:
    if text == "none":
        return None
    is_number = re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,9})?", text)
    if is_number and LEAST_SCRUB_DAYS <= float(text) <= MOST_SCRUB_DAYS:
        return float(text) * DAY
    raise SettingError(
        f"--scrub-days takes a number of days from {LEAST_SCRUB_DAYS} to {MOST_SCRUB_DAYS}, as 30 or 0.5, "
        f"or none, not {text!r}."
    )


def _version(text: str) -> Version:
    if text != str(VERSION_1_0):
        raise SettingError(f"--protocol-version {text!r} isn't spoken here: this peer speaks {VERSION_1_0}.")
    return VERSION_1_0


def _edition(text: str) -> Edition:
    try:
        return Edition(text)
    except ValueError:
        names = " or ".join(edition.value for edition in Edition)
        raise SettingError(f"--edition takes {names}, not {text!r}.") from None


def _interface(text: str) -> str | None:
    if not text:
        return None
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise SettingError(
            f"--interface takes the IPv4 address of one of this computer's interfaces, not {text!r}."
        ) from None


def _access_point(text: str) -> AccessPoint:
    try:
        return AccessPoint.parse(text)
    except AccessPointError as error:
        raise SettingError(f"--control: {error}.") from None
