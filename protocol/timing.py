"""The waits of the protocol, in seconds, and the reason of each that is ours to choose."""

from __future__ import annotations

from random import Random
from typing import Final

MAX_RESPONSE_DELAY: Final = 0.4
"""A STORED, a CHUNK and a re-backup wait a random time up to this, so that not all speak at once."""

ATTEMPT_WAITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""How long each PUTCHUNK (and each GETCHUNK) waits for answers before the next; after the last, it is
over."""

DELETE_SENDINGS: Final = 3
"""How often a DELETE is multicast: nobody answers it, and of three one gets through a loss of 20 % 99 times
of 100."""

DELETE_SPACING: Final = 1.0
"""Between two sendings of a DELETE: longer than a receive buffer stays full, so that no burst takes all
three."""

DELETE_AGAIN_SPACING: Final = 2.0
"""The least between two DELETEs for a dead file that somebody still speaks of, however many chunks they
name."""

DEAD_FILE_KEPT: Final = 90 * 24 * 3600.0
"""How long, by the wall clock, the home remembers a deleted file: a holder that was away for a season still
hears the DELETE."""

DELETED_REFUSAL: Final = 2.0
"""How long a holder refuses PUTCHUNKs for a file after its DELETE: those were under way when it was sent. Not
longer, since other implementations use a file id again."""

EARLY_STORED_KEPT: Final = 5.0
"""How long STOREDs are kept for a chunk not known yet: they overtake the PUTCHUNK, and where the first two
PUTCHUNKs were lost (1 s + 2 s) the third still finds them."""

ANSWER_SPACING: Final = 0.8
"""A GETCHUNK this soon after the last accepted one for its chunk is covered by the answer to that. Below
the 1 s after which one that asks again must be answered, less what the network's jitter may take from
it."""

REPEAT_MEMORY: Final = 60.0
"""A GETCHUNK is a repeat if one for its chunk was accepted within this: the 31 s of all five attempts, and
as much again."""

RECENT_CHUNKS_KEPT: Final = 30.0
"""How long an overheard PUTCHUNK or REMOVED is remembered: past every response delay, also one followed by a wait
for a place in the window; and past the last wait of whoever places a copy by it."""

LATE_KEPT: Final = 300.0
"""How long it is remembered what came late: whoever asks has waited 16 s, and then for a disk that may be far
behind."""

WITHDRAWAL_TIME: Final = 2.0
"""Between the REMOVED for a copy to be dropped and the loss of its bytes: the others confirm theirs in it,
each after its response delay."""

WITHDRAWAL_QUIET: Final = 0.5
"""How long a peer is silent about a copy before what it hears of others counts: longer than any STORED of its
own is under way, the time in full receive buffers included, so that no two peers rely on what each said before
it fell silent."""

LOOK_AGAIN_SPACING: Final = 10.0
"""The least between two chunk backups for one chunk that REMOVEDs in the name of no known holder set off."""

LAST_COPY_RETRY: Final = 600.0
"""Between two attempts of a RECLAIM to place the copies that nobody else holds: rare enough that a group
without room is left in peace."""

LAST_COPY_GRACE: Final = 24 * 3600.0
"""How long, of running time, such a last copy is kept before it is dropped all the same: a day, in which a
group that was switched off for the night comes back."""

SETTLING_SENDINGS: Final = 3
"""How often STORED is multicast for a file that was found without an index: as for DELETE."""

SETTLING_SPACING: Final = 2.5
"""Between two of these, and from the last one to when the file counts as living: longer than
DELETE_AGAIN_SPACING, so that the home of a dead one answers each with a DELETE."""


def response_delay(random: Random) -> float:
    """How long to wait before answering: uniform in 0 to MAX_RESPONSE_DELAY seconds."""
    return random.uniform(0.0, MAX_RESPONSE_DELAY)
