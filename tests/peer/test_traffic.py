"""What flow control has found out is kept to by what leaves (SPEC.md 3.14)."""

from __future__ import annotations

from attrs import define, field

from peer.traffic import Traffic
from protocol.flow import FIRST_WINDOW, FlowControl
from protocol.messages import Delete, Message
from protocol.values import CHUNK_SIZE, VERSION_1_0, FileId, PeerId
from tests.support.clock import SimClock


@define(eq=False)
class Leaving:
    """A Sending of a chunk's cost, that notes when it leaves."""

    clock: SimClock
    times: list[float] = field(factory=list)
    cost: int = CHUNK_SIZE

    def make(self) -> Message:
        return Delete(VERSION_1_0, PeerId(1), FileId(bytes(32)))

    def send(self, message: Message) -> None:
        self.times.append(self.clock.seconds())


class FlowWithPace(FlowControl):
    """Its pace is set from outside; its window stays as it is."""

    pace = 100.0 * CHUNK_SIZE

    @property
    def rate(self) -> float:
        return self.pace


def test_the_pace_is_followed_though_the_window_stays() -> None:
    """SPEC.md 3.14, 3.41: at the least window, and while the pace is held back, it is the pace alone that changes."""
    clock = SimClock()
    flow = FlowWithPace(most_window=FIRST_WINDOW)
    traffic = Traffic(flow=flow, clock=clock)
    flow.pace = 10.0 * CHUNK_SIZE
    traffic.follow_flow()
    leaving = Leaving(clock)
    for _ in range(30):
        traffic.outbox.enqueue(leaving)
    clock.advance(1.0)
    assert 10 <= len(leaving.times) <= 13
    flow.pace = 100.0 * CHUNK_SIZE
    traffic.follow_flow()
    clock.advance(0.3)
    assert len(leaving.times) == 30
