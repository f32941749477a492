-- The index of the chunks that a peer keeps for others, version 2.
--
-- A chunk is held if it has a row here. Its slot is on the disk before the row is, and is freed after it is gone.
-- The statements that read and write it are in storage/slot_rows.py and storage/segment_rows.py.

-- capacity_bytes: the most charged bytes, in decimal.
-- is_closed: "1" while nobody uses the store, if it was closed in order.
-- scrub_mark: how far the scrub has come, as storage/scrub.py writes it.
-- can_punch: "0" if the file system has once said that it can't punch holes.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE chunks (
    file_id   BLOB    NOT NULL CHECK (length(file_id) = 32),
    chunk_no  INTEGER NOT NULL CHECK (chunk_no BETWEEN 0 AND 999999),
    -- Where it is: number of the segment × 4,096 + number of the slot in it.
    place     INTEGER NOT NULL,
    -- Bytes of the body.
    length    INTEGER NOT NULL CHECK (length BETWEEN 0 AND 64000),
    desired   INTEGER NOT NULL CHECK (desired BETWEEN 1 AND 9),
    -- How many ids `holders` has: written out for the index below.
    perceived INTEGER NOT NULL,
    -- The digest of the body and the name of its algorithm.
    algorithm TEXT    NOT NULL,
    digest    BLOB    NOT NULL,
    -- Ids of the peers that hold it, as far as they are known: 8 bytes each, big-endian, rising.
    holders   BLOB    NOT NULL CHECK (length(holders) = 8 * perceived),
    -- CRC-32 of all that: a row that a disk has spoilt must not lead to another chunk's slot.
    checksum  INTEGER NOT NULL,
    PRIMARY KEY (file_id, chunk_no)
) WITHOUT ROWID;

-- What may be evicted, found without a walk through all that may not.
CREATE INDEX chunks_over_replicated ON chunks (file_id, chunk_no) WHERE perceived > desired;

-- The segment files. AUTOINCREMENT: the number of one that is gone is never used again.
CREATE TABLE segments (
    segment       INTEGER PRIMARY KEY AUTOINCREMENT,
    -- One bit a slot, slot 0 in the lowest of the first byte. Those that hold a chunk or are being freed:
    used          BLOB    NOT NULL,
    -- Of those: no chunk any more, but the space isn't given back yet.
    freeing       BLOB    NOT NULL,
    -- 1: slots that aren't used may have been written to, by a batch that was never committed.
    is_open       INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    -- How many chunks are in it, and what they are charged.
    chunks        INTEGER NOT NULL,
    charged_bytes INTEGER NOT NULL,
    -- Number of the last batch that wrote to it.
    batch         INTEGER NOT NULL,
    -- CRC-32 of all that: a slot in use must not be taken for a free one.
    checksum      INTEGER NOT NULL
);

-- Files whose chunks aren't given to anybody although they have rows.
CREATE TABLE hidden (
    file_id BLOB PRIMARY KEY NOT NULL,
    -- "deleted": not all of its chunks are gone yet.
    -- "unconfirmed": found in its slots when the index was made anew. It may have been deleted, and the group
    -- is given time to say so.
    why     TEXT NOT NULL CHECK (why IN ('deleted', 'unconfirmed'))
) WITHOUT ROWID;
