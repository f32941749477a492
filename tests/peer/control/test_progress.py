"""Progress is pushed at most ten times a second, one at a time, and the last if any was before (SPEC.md 10.8)."""

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock

from peer.control.interfaces import Progress
from peer.control.progress import PUSH_INTERVAL, ProgressPush


@define
class Client:
    """Takes a report when the test says so."""

    sent: list[int] = field(factory=list)
    answers: list[Deferred[None]] = field(factory=list)

    def send(self, progress: Progress) -> Deferred[None]:
        self.sent.append(progress.done)
        self.answers.append(Deferred())
        return self.answers[-1]

    def take(self) -> None:
        self.answers[-1].callback(None)


def at(done: int) -> Progress:
    return Progress(done=done, total=100)


def test_the_first_goes_at_once_and_then_the_newest_after_each_interval() -> None:
    client, clock = Client(), Clock()
    push = ProgressPush(client.send, clock=clock)
    push(at(0))
    client.take()
    push(at(1))
    push(at(2))
    assert client.sent == [0]
    clock.advance(PUSH_INTERVAL)
    assert client.sent == [0, 2]


def test_a_client_that_is_slow_to_take_one_gets_no_queue_of_them() -> None:
    client, clock = Client(), Clock()
    push = ProgressPush(client.send, clock=clock)
    for done in range(50):
        push(at(done))
        clock.advance(PUSH_INTERVAL)
    assert client.sent == [0]
    client.take()
    clock.advance(PUSH_INTERVAL)
    assert client.sent == [0, 49]


def test_the_last_goes_out_whatever_the_time_and_nothing_after_it() -> None:
    client, clock = Client(), Clock()
    push = ProgressPush(client.send, clock=clock)
    push(at(99))
    push(at(100))
    push.finish()
    assert client.sent == [99, 100]
    push(at(101))
    push.finish()
    assert client.sent == [99, 100]
    client.take()
    assert clock.getDelayedCalls() == []


def test_an_operation_of_one_step_tells_nothing_but_its_answer() -> None:
    """A thousand small files would else cost a thousand reports, each overtaken by its answer."""
    client, clock = Client(), Clock()
    push = ProgressPush(client.send, clock=clock)
    push(at(100))
    clock.advance(0.9 * PUSH_INTERVAL)
    push.finish()
    assert client.sent == []
    assert clock.getDelayedCalls() == []


def test_one_whose_end_takes_its_time_tells_all_the_same_that_all_is_done() -> None:
    client, clock = Client(), Clock()
    push = ProgressPush(client.send, clock=clock)
    push(at(100))
    clock.advance(PUSH_INTERVAL)
    assert client.sent == [100]
    push.finish()
    assert client.sent == [100]


def test_an_operation_that_says_nothing_more_leaves_no_timer() -> None:
    client, clock = Client(), Clock()
    push = ProgressPush(client.send, clock=clock)
    push(at(0))
    client.take()
    push.finish()
    assert client.sent == [0]
    assert clock.getDelayedCalls() == []


def test_a_client_that_is_gone_is_left_alone() -> None:
    client, clock = Client(), Clock()
    push = ProgressPush(client.send, clock=clock)
    push(at(0))
    client.answers[0].errback(ConnectionLost())
    push(at(1))
    push.finish()
    assert client.sent == [0]
    assert clock.getDelayedCalls() == []
