"""What the peer counts while it runs. Numbers only: what they mean for the user is told elsewhere."""

from __future__ import annotations

from collections import Counter

from protocol.errors import DropReason


class Counters:
    """Counts since the peer started. They only ever grow.

    Every key comes from this program (message types, drop reasons, names of events), never from the network,
    so that no datagram can make it grow.
    """

    def __init__(self) -> None:
        self.messages_received: Counter[str] = Counter()
        """By message type; own echoes and drops are not among them."""
        self.bytes_received: Counter[str] = Counter()
        """By message type; whole datagrams."""
        self.messages_sent: Counter[str] = Counter()
        """By message type; what the operating system then refused is among them."""
        self.bytes_sent: Counter[str] = Counter()
        """By message type; whole datagrams."""
        self.dropped: Counter[DropReason] = Counter()
        """Datagrams that were not messages (SPEC.md 2.18)."""
        self.events: Counter[str] = Counter()
        """All else, by a name in snake_case."""

    def note_received(self, message_type: str, datagram_bytes: int) -> None:
        """Count a message from another peer."""
        self.messages_received[message_type] += 1
        self.bytes_received[message_type] += datagram_bytes

    def note_sent(self, message_type: str, datagram_bytes: int) -> None:
        """Count a message of our own."""
        self.messages_sent[message_type] += 1
        self.bytes_sent[message_type] += datagram_bytes

    def note_dropped(self, reason: DropReason) -> None:
        """Count a datagram that was not a message."""
        self.dropped[reason] += 1

    def count(self, event: str, amount: int = 1) -> None:
        """Count an event that has no method of its own."""
        self.events[event] += amount
