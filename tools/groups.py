"""The groups that a command listens to, given on its command line as a peer's are."""

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen

from peer.config import (
    DEFAULT_GROUPS,
    DEFAULT_RECEIVE_BUFFER_BYTES,
    DEFAULT_TTL,
    GroupAddress,
    Groups,
    SettingError,
)
from peer.network import UdpNetwork

Value = TypeVar("Value")


@frozen(kw_only=True)
class GroupSettings:
    """Which groups, and by which interface they are reached."""

    groups: Groups
    interface: str | None
    """IPv4 address; None: the one that the system would send to the groups by."""
    ttl: int
    receive_buffer_bytes: int

    @classmethod
    def of(cls, options: argparse.Namespace) -> "GroupSettings":
        """What the command line says about the options of `add_group_options`."""
        return cls(
            groups=Groups(mc=options.mc, mdb=options.mdb, mdr=options.mdr),
            interface=options.interface,
            ttl=getattr(options, "ttl", 0),
            receive_buffer_bytes=options.receive_buffer,
        )

    def open(self, reactor: Any) -> UdpNetwork:
        """The door to these groups; NetworkUnusable if the system refuses it."""
        return UdpNetwork(
            reactor, interface=self.interface, ttl=self.ttl, receive_buffer_bytes=self.receive_buffer_bytes
        )


def add_group_options(parser: argparse.ArgumentParser, *, sends: bool) -> None:
    """Take the options of a peer that tell its groups; `sends`: also how far its datagrams go."""
    options = parser.add_argument_group("the groups, as the peers' own options")
    for name, default, carries in (
        ("--mc", DEFAULT_GROUPS.mc, "control messages"),
        ("--mdb", DEFAULT_GROUPS.mdb, "the chunks of backups"),
        ("--mdr", DEFAULT_GROUPS.mdr, "the chunks of restores"),
    ):
        options.add_argument(
            name,
            type=said(GroupAddress.parse),
            default=default,
            metavar="ADDRESS:PORT",
            help=f"group of {carries} (default {default})",
        )
    options.add_argument(
        "--interface",
        metavar="ADDRESS",
        help="IPv4 address of the interface to use (default: the system's choice)",
    )
    if sends:
        options.add_argument(
            "--ttl",
            type=whole_number(0, 255),
            default=DEFAULT_TTL,
            metavar="N",
            help=f"how far datagrams go: 0 this computer, 1 this network (default {DEFAULT_TTL})",
        )
    options.add_argument(
        "--receive-buffer",
        type=whole_number(65_536, 2**30),
        default=DEFAULT_RECEIVE_BUFFER_BYTES,
        metavar="BYTES",
        help=f"buffer to ask the system for, for each group (default {DEFAULT_RECEIVE_BUFFER_BYTES})",
    )


def group_names(groups: Groups) -> dict[GroupAddress, str]:
    """The name of each group, as MC; MC+MDB if one address serves as both."""
    names: dict[GroupAddress, str] = {}
    for name, group in (("MC", groups.mc), ("MDB", groups.mdb), ("MDR", groups.mdr)):
        names[group] = f"{names[group]}+{name}" if group in names else name
    return names


def said(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Have argparse say what a SettingError says."""

    def parsed(text: str) -> Value:
        try:
            return parse(text)
        except SettingError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Have argparse take a whole number between the two."""

    def parsed(text: str) -> int:
        if text.isascii() and text.isdigit() and least <= int(text[:20]) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")

    return parsed


def seconds(text: str) -> float:
    """Have argparse take a time above 0, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0.0 < value < 1e9:
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
