"""Listening to the groups and showing what comes, until enough has been seen."""

from collections.abc import Callable
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from peer.config import Groups
from peer.network import IGroupNetwork, SourceAddress
from tools.groups import group_names
from tools.snoop.sighting import Filter, Sighting, decoded
from tools.snoop.tally import Tally


@define(kw_only=True, eq=False)
class Watch:
    """Shows and counts each datagram that is wanted; `ended` fires when `count` of them came (0: never).

    `ended` fails with what `show` raises, such as a pipe that nobody reads any more. `wall_clock` gives the
    seconds since 1970.
    """

    clock: IReactorTime
    wall_clock: Callable[[], float]
    show: Callable[[Sighting], None]
    wanted: Filter = field(factory=Filter)
    count: int = 0
    tally: Tally = field(factory=Tally)
    ended: Deferred[None] = field(factory=Deferred)

    def listen(self, network: IGroupNetwork, groups: Groups) -> None:
        """Join the groups."""
        for group, name in group_names(groups).items():
            network.join(group, partial(self.came, name))

    def came(self, channel: str, datagram: bytes, source: SourceAddress) -> None:
        """Take one datagram."""
        if self.ended.called:
            return
        sighting = Sighting(
            at=self.clock.seconds(),
            wall_time=self.wall_clock(),
            channel=channel,
            source=source,
            size=len(datagram),
            content=decoded(datagram),
        )
        if not self.wanted.wants(sighting):
            return
        self.tally.note(sighting)
        try:
            self.show(sighting)
        except OSError:
            self.ended.errback(Failure())
            return
        if self.tally.total.datagrams == self.count:
            self.end()

    def end(self) -> None:
        """See nothing more."""
        if not self.ended.called:
            self.ended.callback(None)
