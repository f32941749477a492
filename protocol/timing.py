"""The waits of the protocol, in seconds, and the reason of each that is ours to choose."""

from __future__ import annotations

from random import Random
from typing import Final

MAX_RESPONSE_DELAY: Final = 0.4
"""A STORED, a CHUNK and a re-backup after REMOVED wait a random time up to this, so that not all speak at once."""

ATTEMPT_WAITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""How long each PUTCHUNK (and each GETCHUNK) waits for answers before the next one; after the last, it is over."""

DELETE_SENDINGS: Final = 3
"""How often a DELETE is multicast: nobody answers it, and three survive a loss of one in five 99 times of 100."""

DELETE_SPACING: Final = 1.0
"""Between two sendings of a DELETE: longer than a receive buffer stays full, so that one burst can't take all three."""

DELETE_AGAIN_SPACING: Final = 10.0
"""The least between two DELETEs for a dead file that somebody still speaks of, however many chunks of it they name."""

DEAD_FILE_KEPT: Final = 365 * 24 * 3600.0
"""How long the home remembers a deleted file id: a holder that was away for a season still hears the DELETE."""

DELETED_REFUSAL: Final = 2.0
"""How long a holder refuses PUTCHUNKs for a file after its DELETE: those were under way when it was sent. Not longer,
since other implementations use a file id again."""

EARLY_STORED_KEPT: Final = 5.0
"""How long STOREDs for a chunk not known yet are kept: they overtake the PUTCHUNK, and where the first two PUTCHUNKs
were lost (1 s + 2 s) the third still finds them."""

ANSWER_SPACING: Final = 0.8
"""The least between two GETCHUNKs for a chunk that are both answered. Below the 1 s after which one that asks again
must be answered, less what the network's jitter may take from it."""

REPEAT_MEMORY: Final = 60.0
"""A GETCHUNK is a repeat if one for the same chunk came within this: the 31 s of all five attempts, and as much again."""

RECENT_CHUNKS_KEPT: Final = 30.0
"""How long an overheard PUTCHUNK or CHUNK is remembered: as long as the last attempt's wait and a slow disk together."""

EVICTION_GRACE: Final = 2.0
"""Between the REMOVED for an over-replicated copy and the loss of its bytes: the REMOVEDs of others that chose the
same chunk arrive in it, and the copy is kept if they bring the count below the degree."""

LAST_COPY_PATIENCE: Final = 120.0
"""How long a RECLAIM tries to place a copy that is the last one before it drops it and says so: three full rounds of
attempts (31 s each) and the pauses between them."""


def response_delay(random: Random) -> float:
    """How long to wait before answering: uniform in 0 to MAX_RESPONSE_DELAY seconds."""
    return random.uniform(0.0, MAX_RESPONSE_DELAY)
