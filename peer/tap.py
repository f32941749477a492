"""The options of ``twistd backup-peer``; the one place that takes the global reactor."""

from __future__ import annotations

import gc
import os
import sys
import time
from random import Random, SystemRandom
from typing import NoReturn

from twisted.application.service import IService
from twisted.python import usage

from peer.config import (
    DEFAULT_CONTROL,
    DEFAULT_GROUPS,
    DEFAULT_RECEIVE_BUFFER_BYTES,
    DEFAULT_SCRUB_DAYS,
    DEFAULT_TTL,
    PeerConfig,
    SettingError,
)
from peer.service import PeerService, StartError, preflight
from protocol.values import VERSION_1_0, Edition

_EXIT_WRONG_USAGE = 2

GARBAGE_THRESHOLD = 20_000
"""Objects made and not freed between two collections of garbage. Of the thousands of chunks in flight hardly
anything is garbage in a circle; at Python's own 700 the collector took a seventh of all the time to find that."""


class Options(usage.Options):
    """Every setting of a peer; each has a default that works on a local network without configuration."""

    synopsis = "[options]"
    longdesc = (
        "Runs a backup peer: it lends disk to the other peers of this local network, and backs up its "
        "user's files onto theirs. Drive it with testapp. Example: twistd -n backup-peer --capacity 5000000"
    )
    optParameters = [
        ["id", None, None, "This peer's id, 0 to 2147483647. [default: drawn once, kept in the store]"],
        ["protocol-version", None, str(VERSION_1_0), "Version of the wire protocol to speak."],
        ["edition", None, Edition.TYPE_FIRST.value, "Order of a header: type-first or version-first."],
        ["mc", None, str(DEFAULT_GROUPS.mc), "Group for control messages, address:port."],
        ["mdb", None, str(DEFAULT_GROUPS.mdb), "Group for the chunks of backups, address:port."],
        ["mdr", None, str(DEFAULT_GROUPS.mdr), "Group for the chunks of restores, address:port."],
        ["interface", None, None, "IPv4 address of the interface to use. [default: the system's choice]"],
        ["ttl", None, str(DEFAULT_TTL), "How far datagrams go: 0 this computer, 1 this network."],
        ["store", None, None, "Folder to keep everything in. [default: ~/.local/share/backup-peer]"],
        ["capacity", None, "auto", "KByte lent to others; auto: a fifth of what is free at first."],
        [
            "control",
            None,
            str(DEFAULT_CONTROL),
            "Where testapp finds us: port, host:port, socket's path.",
        ],
        ["receive-buffer", None, str(DEFAULT_RECEIVE_BUFFER_BYTES), "Bytes to ask for, for each group."],
        ["last-copy-grace", None, "24", "Hours that a reclaimed chunk nobody else takes is kept."],
        [
            "scrub-days",
            None,
            str(DEFAULT_SCRUB_DAYS),
            "Days in which all stored chunks are read once, or none.",
        ],
        ["send-limit", None, "none", "MB a second of chunks to send at the most, or none."],
    ]

    def postOptions(self) -> None:
        """Read the texts as values, or say in one sentence which is wrong."""
        try:
            self["config"] = PeerConfig.from_options(dict(self), os.environ)
        except SettingError as error:
            _refuse(str(error), _EXIT_WRONG_USAGE)


def makeService(options: Options) -> IService:
    """Make the peer of the options; refuse in one sentence what can't start."""
    # Imported here, as importing it chooses it. Its clock is the wall clock, whose steps would stall timers.
    from twisted.internet import reactor

    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    gc.set_threshold(GARBAGE_THRESHOLD)
    config: PeerConfig = options["config"]
    random = SystemRandom()
    try:
        preflight(config, random=random, environment=os.environ)
    except StartError as error:
        _refuse(str(error), 1)

    def give_up(sentence: str) -> None:
        # Not sys.stderr, which twistd has turned into its log.
        print(sentence, file=sys.__stderr__, flush=True)
        # twistd knows no exit status of a service: the process ends by itself, after all else has.
        reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        reactor.callWhenRunning(reactor.stop)

    return PeerService(
        config,
        reactor=reactor,
        random=random,
        # Thousands a second: each is a system call where it has to be unpredictable.
        delay_random=Random(random.getrandbits(256)),
        wall_clock=time.time,
        environment=dict(os.environ),
        give_up=give_up,
    )


def _refuse(sentence: str, status: int) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(status)
