"""Every bound that keeps hostile or broken peers from costing more than they should.

Each gives its unit, why it has this value, and the attack or accident that it stops. Memory that outsiders
can fill is bounded here and nowhere else; what is over a bound is forgotten oldest first, which may cost a
duplicate on the wire and never a chunk.
"""

# --- Sizes on the wire ---------------------------------------------------------------------------------

# Bytes. The largest payload of a UDP datagram over IPv4 (65,535 less 20 of IP and 8 of UDP). A receiver that
# asks for less gets its chunks cut without an error.
MAX_DATAGRAM_BYTES = 65_507

# Decimal digits of a SenderId: as many as 2**64 - 1 has. Stops integers of thousands of digits, whose
# conversion costs quadratic time.
MAX_SENDER_ID_DIGITS = 20

# Bytes of a datagram that are quoted in an error. Stops a 64 KB field from being copied into the log.
MAX_QUOTED_BYTES = 40

# --- Memory of what was overheard ----------------------------------------------------------------------

# Distinct holders counted for one chunk. A degree is 9 at most and a group has some dozens of peers; stops
# STOREDs in the name of ever new peers from growing one chunk's set without end.
MAX_HOLDERS_PER_CHUNK = 256

# Chunks whose STOREDs are kept although no PUTCHUNK for them was heard yet. At 2,000 chunks a second and
# EARLY_STORED_KEPT of 5 s that is all of them; stops STOREDs for invented chunks (about 5 MB at the most).
MAX_EARLY_CHUNKS = 10_000

# Distinct senders kept for one such chunk. More than a degree (9) ever asks for; stops the same flood with
# one chunk and many invented senders.
MAX_EARLY_HOLDERS = 32

# Chunks in the memory of answered GETCHUNKs. At 5,000 chunks a second it reaches back 3 s, well past the
# spacing of answers that it enforces; stops GETCHUNKs for many chunks from filling memory (about 5 MB).
MAX_ANSWERED_CHUNKS = 16_384

# Chunks in the memory of PUTCHUNKs and of CHUNKs overheard. At 5,000 chunks a second it reaches back 3 s,
# seven times the longest random delay during which the answer is asked for (about 4 MB each).
MAX_RECENT_CHUNKS = 16_384

# --- Rates ---------------------------------------------------------------------------------------------

# REMOVED messages a second from one peer. Every holder that hears one may start a chunk backup; at 100 a
# second the resulting 6.4 MB/s of PUTCHUNKs leaves a slow network usable. Stops our own RECLAIM 0 of a large
# store from becoming a storm.
REMOVED_PER_SECOND = 100.0

# Seconds between two lines in the log for the same sender and drop reason. Stops a flood from filling the
# disk with its own description.
DROP_LOG_SPACING = 60.0

# Pairs of sender and reason remembered for DROP_LOG_SPACING. Stops forged senders from growing that memory.
MAX_DROP_LOG_ENTRIES = 1_024
