"""Somebody who listens to the control channel of a group, to know from outside what its peers have promised."""

from __future__ import annotations

import shlex
import socket
from collections import defaultdict
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from peer.config import GroupAddress
from protocol.codec import parse
from protocol.errors import ProtocolError
from protocol.messages import Delete, Removed, Stored

Copy = tuple[str, int]
"""fileId in hex digits and chunk number, as STATE has them."""


def control_group(command: Path) -> GroupAddress:
    """The MC of a peer, by the file with its command line."""
    [option] = [word for word in shlex.split(command.read_text()) if word.startswith("--mc=")]
    return GroupAddress.parse(option.removeprefix("--mc="))


class Ear:
    """Which copies each peer has acknowledged with STORED and has not said REMOVED for, nor heard DELETE."""

    def __init__(self, group: GroupAddress) -> None:
        self._copies: dict[int, set[Copy]] = defaultdict(set)
        self._lock = Lock()
        self._is_over = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What isn't heard of a REMOVED would look like a broken promise.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**25)
        self._socket.bind((group.host, group.port))
        membership = socket.inet_aton(group.host) + socket.inet_aton("127.0.0.1")
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self._socket.settimeout(0.2)
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._thread.join()
        self._socket.close()

    def acknowledged(self, peer_id: int) -> set[Copy]:
        """The copies that the peer has to have."""
        with self._lock:
            return set(self._copies[peer_id])

    def _listen(self) -> None:
        while not self._is_over:
            try:
                message = parse(self._socket.recv(65_536))
            except (TimeoutError, ProtocolError):
                continue
            with self._lock:
                if isinstance(message, Stored):
                    self._copies[message.sender_id].add((message.file_id.hex(), message.chunk_no))
                elif isinstance(message, Removed):
                    self._copies[message.sender_id].discard((message.file_id.hex(), message.chunk_no))
                elif isinstance(message, Delete):
                    self._forget_file(message.file_id.hex())

    def _forget_file(self, file_id: str) -> None:
        for copies in self._copies.values():
            copies.difference_update([copy for copy in copies if copy[0] == file_id])
