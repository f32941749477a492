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

# --- Chunks under way ----------------------------------------------------------------------------------

# Bytes of PUTCHUNKs in flight at once, the most to which flow control opens the window: 983 MB/s at the mean wait of
# 267 ms for the second of two STOREDs. Each chunk in flight costs some KB of memory; their bodies are not held.
MAX_BACKUP_WINDOW_BYTES = 262_144_000

# Bytes of bodies read and waiting to be sent for the first time. Stops a pace slower than the disk from holding the
# whole window in memory.
MAX_UNSENT_BYTES = 4_096_000

# Bytes of bodies read of files and waiting for a place in flight, of all files together. Stops many files backed up at
# once from each holding what was read of it.
MAX_READ_AHEAD_BYTES = 32_768_000

# Files being read at once to be backed up; the others wait for their turn. Each is open; stops thousands of BACKUPs
# from using up what a process may have open, usually 1,024.
MAX_FILES_READ = 600

# Files being restored at once, for the same reason.
MAX_FILES_RESTORED = 300

# Bytes of chunks whose backup is not over. Those whose degree can't be met go on for 31 s without a place in the
# window; stops a large file of them from filling memory with some KB for each chunk.
MAX_BACKUP_BYTES_UNDER_WAY = 2_048_000_000

# Bytes of chunks asked for and not yet written, the most to which flow control opens the window: 720 MB/s at the mean
# wait of 133 ms for the first of two holders. Their bodies may all be in memory, when the network is faster than the
# disk.
MAX_RESTORE_WINDOW_BYTES = 96_000_000

# Bytes of chunks asked for whose restore is not over. Those that don't come are asked for again for 31 s without a
# place in the window, and may all come at once in the end.
MAX_RESTORE_BYTES_UNDER_WAY = 192_000_000

# Bodies' bytes a second in CHUNKs that a holder answers with. Flow control is the asker's; stops one who asks for
# everything at once, as there are, from overrunning himself and everybody else with it.
CHUNK_BYTES_PER_SECOND = 500_000_000.0

# Bytes that any datagram with a body counts for in windows and paces: what a holder spends on an empty chunk is a
# quarter of what it spends on a full one. Stops thousands of small files from overrunning it.
LEAST_COST_BYTES = 16_000

# Bodies' bytes that may always leave back to back: two chunks, since the usual receive buffer of 212,992 bytes
# holds three.
LEAST_BURST_BYTES = 128_000.0

# Seconds of its pace that may leave back to back. At paces that need larger buffers anyway; stops a timer that is
# late by some milliseconds from slowing the sending down.
BURST_SECONDS = 0.005

# Bytes of bodies received and not yet durable. A PUTCHUNK beyond it counts as not heard and comes again;
# stops a flood of PUTCHUNKs, or a disk that is slower than the network, from filling memory.
MAX_BYTES_BEING_STORED = 64_000_000

# CHUNKs due at once in answer to GETCHUNKs. Their bodies are read one at a time; stops GETCHUNKs for all that
# a peer holds from keeping it busy for minutes after the asker has given up (4,096 are 262 MB, some seconds).
MAX_ANSWERS_DUE = 4_096

# Digests of CHUNKs overheard for one answer that is due. Each costs 16 µs to make; stops a flood of false
# CHUNKs for one chunk from taking the processor.
MAX_BODIES_OVERHEARD = 8

# CHUNKs for one chunk asked for that wait to be compared and written. As many as holders may answer at once;
# stops a flood of false CHUNKs for one chunk from filling memory (0.5 MB for each chunk that is asked for).
MAX_BODIES_OFFERED = 8

# Chunk backups that REMOVEDs have set off and that wait or run, and chunks remembered as looked at again.
# Stops a flood of REMOVEDs from becoming one of PUTCHUNKs; what is over it is repaired at the next REMOVED.
MAX_REPAIRS_DUE = 4_096

# Copies being withdrawn at once. Each makes every other holder answer within the 2.5 seconds that it takes,
# so this is 40 a second; stops a RECLAIM of a large store from becoming a storm.
MAX_WITHDRAWALS = 100

# Changes to what is known of holders that gather before they are written in one batch. Stops STOREDs that
# come faster than the disk commits from filling memory, and from one commit each.
MAX_NOTES_GATHERED = 1_000

# --- Memory of what was overheard ----------------------------------------------------------------------

# Distinct holders counted for one chunk. A degree is 9 at the most and a group has some dozens of peers;
# stops STOREDs in the name of ever new peers from growing one chunk's set without end.
MAX_HOLDERS_PER_CHUNK = 256

# Chunks whose STOREDs are kept in case that the PUTCHUNK is still to come. At 2,000 chunks a second that is
# the whole time for which they are kept; stops STOREDs for invented chunks (about 6 MB, 23 with all the
# senders).
MAX_EARLY_CHUNKS = 10_000

# Distinct senders kept for one such chunk. Three times the highest degree; stops the same flood with one
# chunk and many invented senders.
MAX_EARLY_HOLDERS = 27

# Chunks in the memory of answered GETCHUNKs. At 5,000 chunks a second it reaches back 3 s, well past the
# spacing of answers that it enforces; stops GETCHUNKs for many chunks from filling memory (about 6 MB).
MAX_ANSWERED_CHUNKS = 16_384

# Chunks in the memory of PUTCHUNKs overheard, and in that of REMOVEDs. At 5,000 chunks a second it reaches back 3 s,
# seven times the longest response delay, after which it is asked; who needs it to reach further is told that it may
# not. Stops messages for many chunks from filling memory (about 4 MB).
MAX_RECENT_CHUNKS = 16_384

# Chunks that came late, by which holders are seen to be behind. Stops chunks that each had to be asked for twice, by
# the thousands a second, from filling memory (about 8 MB).
MAX_LATE_CHUNKS = 65_536

# Files in the memory of DELETEs heard, which is asked for DELETED_REFUSAL seconds only. Stops DELETEs for
# invented files from filling memory (about 1 MB).
MAX_DELETIONS_REMEMBERED = 4_096

# Finished waits in a row, with the same few peers answering each, after which copies are scarce and not lost.
# Eight losses that look alike are unlikely even at high loss, and cost eight places of the window at most.
SCARCE_RUN = 8

# Files of others whose fileId is to be written in upper case. As many as one group backs up at a time, many times
# over; stops invented ids from growing that memory (about 1 MB).
MAX_UPPER_CASE_IDS = 4_096

# --- Rates ---------------------------------------------------------------------------------------------

# REMOVED messages a second from one peer. Every holder that hears one may start a chunk backup; at 100 a
# second the resulting 6.4 MB/s of PUTCHUNKs leaves a slow network usable. Stops our own RECLAIM 0 of a large
# store from becoming a storm.
REMOVED_PER_SECOND = 100.0

# STORED messages a second that settle files found without an index (SPEC.md 9.27). Nobody but the home of a dead
# file answers one; they are some 20 KB a second. Stops the start of a holder of a million small files from
# filling the receive buffers of the others.
SETTLING_PER_SECOND = 200.0

# Files that are settled together: what SETTLING_PER_SECOND lets out between two STOREDs for one file, so that no
# time is lost. Stops the same start from filling memory: the rest stays in the index.
MAX_FILES_SETTLING = 500

# Seconds between two lines in the log for the same sender and drop reason. Stops a flood from filling the
# disk with its own description.
DROP_LOG_SPACING = 60.0

# Pairs of sender and reason remembered for DROP_LOG_SPACING. Stops forged senders from growing that memory.
MAX_DROP_LOG_ENTRIES = 1_024
