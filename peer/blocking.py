"""Blocking calls as Deferreds: the storage waits for disks, the peer must not.

An executor says where calls run: in threads for real, at drawn instants of virtual time in tests. A lane
says in what order: one after another, with what gathers meanwhile merged into batches, so that many small
promises share one sync of the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, ParamSpec, TypeVar

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
P = ParamSpec("P")

MAX_BATCH_ITEMS: Final = 256
"""Items of one batch call. At 256 chunks a sync, the syncing hardly costs any more; larger batches would only
make the first item of each wait longer for its answer."""

MAX_BATCH_BYTES: Final = 16_777_216
"""Bytes of one batch call, by the lane's measure: 256 full chunks."""


class Stopped(Exception):
    """The call was not made: the executor or the lane has been stopped."""


class IExecutor(Interface):
    """Where blocking calls run.

    Calls of the same lane run one at a time, in the order in which they were handed in; calls of different
    lanes may run at the same time.
    """

    def run(
        lane_name: str, call: Callable[P, Outcome], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[Outcome]:
        """Make the call, and fire with what it returns, or fail with what it raises.

        Fires in the reactor's thread. Once stopped, fails with Stopped, without making the call.
        """

    def stop() -> Deferred[None]:
        """Take no more calls; fire when those already handed in have ended and nothing is left running."""


class _LaneThread:
    """A thread that makes calls in the order in which they come, and has the reactor told what came of each.

    Twisted's pool of threads, and that of the standard library, take twice the processor time to hand a call over and
    its result back, and a RESTORE reads about two chunks with each.
    """

    def __init__(self, name: str, *, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], object]] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name)
        self._thread.start()

    def make(self, call: Callable[[], Any], tell: Callable[[Any], object]) -> None:
        """Have *tell* called, in the reactor's thread, with what the call returns, or a Failure."""
        self._calls.put((call, tell))

    def end(self) -> None:
        """Wait for the calls that are left, and for the thread."""
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, tell = item
            try:
                outcome = call()
            except BaseException:
                # Whatever it is: it belongs to whoever asked for the call, and the next one is made all the same.
                outcome = Failure()
            self._reactor.callFromThread(tell, outcome)
            # What they hold, chunks by the megabyte, isn't to wait here for the next call.
            del item, call, tell, outcome


@implementer(IExecutor)
class ThreadExecutor:
    """Runs calls in threads: one for each lane name, started with its first call."""

    def __init__(self, *, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._threads: dict[str, _LaneThread] = {}
        self._outstanding = 0
        self._is_stopped = False
        self._waiting_for_stop: list[Deferred[None]] = []

    def run(
        self, lane_name: str, call: Callable[P, Outcome], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[Outcome]:
        """As IExecutor says. A call whose Deferred is cancelled still runs; its result is dropped."""
        if self._is_stopped:
            return fail(Stopped(f"no more calls are made in {lane_name}"))
        thread = self._threads.get(lane_name)
        if thread is None:
            thread = self._threads[lane_name] = _LaneThread(lane_name, reactor=self._reactor)
        answer: Deferred[Outcome] = Deferred()
        self._outstanding += 1
        thread.make(partial(call, *args, **kwargs), partial(self._end, answer))
        return answer

    def stop(self) -> Deferred[None]:
        """As IExecutor says. The reactor goes on running meanwhile: only idle threads are joined."""
        self._is_stopped = True
        stopped: Deferred[None] = Deferred()
        self._waiting_for_stop.append(stopped)
        self._join_if_idle()
        return stopped

    def _end(self, answer: Deferred[Any], outcome: Any) -> None:
        # Given a Failure, callback() does what errback() does; one that was cancelled drops either.
        answer.callback(outcome)
        self._outstanding -= 1
        self._join_if_idle()

    def _join_if_idle(self) -> None:
        if self._outstanding or not self._is_stopped:
            return
        while self._threads:
            _name, thread = self._threads.popitem()
            thread.end()
        waiting, self._waiting_for_stop = self._waiting_for_stop, []
        for stopped in waiting:
            stopped.callback(None)


@define(eq=False)
class _Entry:
    """One item, or one whole call, on its way through a lane."""

    call: Callable[..., Any] | None
    """None when it was cancelled while it waited: it is passed over then."""
    payload: Any
    size: int
    is_batchable: bool
    is_waiting: bool = True
    is_cancelled: bool = False
    tell: Callable[..., object] | None = None
    """Is told what came of it, or the Failure, and ``tell_args``. None before it is taken, and once it was told."""
    tell_args: tuple[Any, ...] = ()


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception:
        # Whatever it is: it belongs to whoever asked for the call, and the next one is made all the same.
        return Failure()


class Lane:
    """Blocking calls one after another, in the order of submission, never two at once.

    Consecutive items for the same batch call go to it together: what comes while one call runs gathers, and
    goes with the next. Consecutive calls of their own are made together where the lane allows more than one at a
    time. The next call starts before the answers of the last are told, so that the disk is busy
    while they are read.

    What waits here takes memory: whoever submits on behalf of the network looks at `queued_bytes` first.
    """

    _log = Logger()

    def __init__(
        self,
        executor: IExecutor,
        name: str,
        *,
        item_bytes: Callable[[Any], int] = lambda _item: 0,
        max_batch_items: int = MAX_BATCH_ITEMS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        max_calls_together: int = 1,
        together: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """*together* is what several calls of ``run`` are made in: what they do is done at its end."""
        self._executor = executor
        self._name = name
        self._item_bytes = item_bytes
        self._max_batch_items = max_batch_items
        self._max_batch_bytes = max_batch_bytes
        self._together = together
        self._max_calls_together = max_calls_together
        self._queue: deque[_Entry] = deque()
        self._running: list[_Entry] = []
        self._untold = 0
        self._queued_items = 0
        self._queued_bytes = 0
        self._is_stopped = False
        self._waiting_for_drained: list[Deferred[None]] = []

    @property
    def queued_items(self) -> int:
        """How many items and calls were taken and have not ended: those waiting and those being worked on."""
        return self._queued_items

    @property
    def queued_bytes(self) -> int:
        """What those items measure together by `item_bytes`."""
        return self._queued_bytes

    def submit(self, batch_call: Callable[[list[Item]], Sequence[Outcome]], item: Item) -> Deferred[Outcome]:
        """Have *item* be in a call of *batch_call*, and fire with its element of the result.

        Items with an equal *batch_call* (the same function, or the same method of the same object) are merged
        if nothing else is between them. When the call raises, each item of that batch fails with what it
        raised. Cancelling takes an item off the queue; if its call has begun already, that ends as it would,
        and its result is dropped. Fails with Stopped once the lane is stopped.
        """
        return self._answer_to(
            _Entry(call=batch_call, payload=item, size=self._item_bytes(item), is_batchable=True)
        )

    def hand_in(
        self,
        batch_call: Callable[[list[Item]], Sequence[Outcome]],
        item: Item,
        tell: Callable[..., object],
        *args: Any,
    ) -> None:
        """As ``submit``, but call *tell* with the outcome, or a Failure, and *args*; it can't be cancelled.

        For what comes by the thousands: a Deferred for each would cost more than everything else here.
        """
        entry = _Entry(call=batch_call, payload=item, size=self._item_bytes(item), is_batchable=True)
        if self._is_stopped:
            self._tell(tell, Failure(self._stopped()), args)
        else:
            self._enqueue(entry, tell, args)

    def run(self, call: Callable[P, Outcome], *args: P.args, **kwargs: P.kwargs) -> Deferred[Outcome]:
        """Make a call of its own, in its turn, and fire with its result.

        Cancelling, errors and stopping are as for submit. Where calls are made together, one that raises fails
        alone, and all of them fail when they can't be ended together.
        """

        def whole_call() -> Outcome:
            return call(*args, **kwargs)

        return self._answer_to(_Entry(call=whole_call, payload=None, size=0, is_batchable=False))

    def drained(self) -> Deferred[None]:
        """Fire when nothing waits, nothing runs, and every answer has been told; now, if that is so."""
        if self._is_idle:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._waiting_for_drained.append(drained)
        return drained

    def stop(self) -> Deferred[None]:
        """Take nothing more; fire when what was taken before has been done."""
        self._is_stopped = True
        return self.drained()

    @property
    def _is_idle(self) -> bool:
        return not (self._queued_items or self._running or self._untold)

    def _stopped(self) -> Stopped:
        return Stopped(f"no more calls are made in {self._name}")

    def _answer_to(self, entry: _Entry) -> Deferred[Any]:
        if self._is_stopped:
            return fail(self._stopped())
        answer: Deferred[Any] = Deferred(lambda _answer: self._cancel(entry))
        # Given a Failure, callback() does what errback() does.
        self._enqueue(entry, answer.callback)
        return answer

    def _enqueue(self, entry: _Entry, tell: Callable[..., object], args: tuple[Any, ...] = ()) -> None:
        entry.tell, entry.tell_args = tell, args
        self._queue.append(entry)
        self._queued_items += 1
        self._queued_bytes += entry.size
        self._start_next()

    def _cancel(self, entry: _Entry) -> None:
        entry.is_cancelled = True
        if entry.is_waiting:
            entry.call = entry.payload = None
            self._leave(entry)

    def _leave(self, entry: _Entry) -> None:
        self._queued_items -= 1
        self._queued_bytes -= entry.size

    def _start_next(self) -> None:
        if self._running:
            return
        batch = self._take_batch()
        if not batch:
            return
        self._running = batch
        call = batch[0].call
        assert call is not None, "a cancelled entry was taken"
        if batch[0].is_batchable:
            call = partial(call, [entry.payload for entry in batch])
        else:
            call = partial(self._make, [entry.call for entry in batch if entry.call is not None])
        self._executor.run(self._name, call).addBoth(self._end, batch)

    def _make(self, calls: list[Callable[[], Any]]) -> list[Any]:
        with self._together() if len(calls) > 1 else nullcontext():
            return [_outcome(call) for call in calls]

    def _take_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        batch_bytes = 0
        while self._queue:
            entry = self._queue[0]
            if entry.call is not None:
                if batch and not self._goes_with(batch, batch_bytes, entry):
                    break
                entry.is_waiting = False
                batch.append(entry)
                batch_bytes += entry.size
            self._queue.popleft()
        return batch

    def _goes_with(self, batch: list[_Entry], batch_bytes: int, entry: _Entry) -> bool:
        if entry.is_batchable:
            return (
                entry.call == batch[0].call
                and len(batch) < self._max_batch_items
                and batch_bytes + entry.size <= self._max_batch_bytes
            )
        return not batch[0].is_batchable and len(batch) < self._max_calls_together

    def _end(self, result: Any, batch: list[_Entry]) -> None:
        self._running = []
        for entry in batch:
            self._leave(entry)
            entry.payload = None
        self._untold += len(batch)
        self._start_next()
        for entry, answer in zip(batch, self._answers(result, batch), strict=True):
            self._untold -= 1
            # A Deferred refers to its entry: let go of here, both are freed without the garbage collector.
            tell, entry.tell = entry.tell, None
            if tell is not None and not entry.is_cancelled:
                self._tell(tell, answer, entry.tell_args)
        if self._is_idle:
            waiting, self._waiting_for_drained = self._waiting_for_drained, []
            for drained in waiting:
                drained.callback(None)

    def _tell(self, tell: Callable[..., object], answer: Any, args: tuple[Any, ...]) -> None:
        try:
            tell(answer, *args)
        except BaseException:
            # Whatever it is, and as a Deferred would: the next one is told all the same.
            self._log.failure("what came of a call in {lane} could not be told", lane=self._name)

    def _answers(self, result: Any, batch: list[_Entry]) -> Sequence[Any]:
        if isinstance(result, Failure):
            return [result] * len(batch)
        if not isinstance(result, Sequence) or len(result) != len(batch):
            mistake = f"{batch[0].call} did not give one result for each of {len(batch)} items"
            return [Failure(ValueError(mistake))] * len(batch)
        return result
