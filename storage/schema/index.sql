-- The index of the chunks that a peer keeps for others, version 1.
--
-- A chunk is held if it has a row here. Its body is in a file of its own, which is on the disk before the row
-- is, and is removed after it. The statements that read and write it are in storage/file_store.py.

-- capacity_bytes: the most charged bytes, in decimal.
-- is_clean: "1" if the store was closed in order, so that there can be no body without a row.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE chunks (
    file_id   BLOB    NOT NULL CHECK (length(file_id) = 32),
    chunk_no  INTEGER NOT NULL CHECK (chunk_no BETWEEN 0 AND 999999),
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
    PRIMARY KEY (file_id, chunk_no)
) WITHOUT ROWID;

-- What may be evicted, found without a walk through all that may not.
CREATE INDEX chunks_over_replicated ON chunks (file_id, chunk_no) WHERE perceived > desired;
