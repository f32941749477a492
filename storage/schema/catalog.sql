-- The catalog of a peer's own files, version 2.
--
-- Promises: nothing here can be learned again from the group, but for the holders. The statements that read
-- and write it are in storage/catalog.py.

-- Small facts about the peer itself: its id, the capacity option of its last start.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row for each content that a path had when it was backed up. A path may have several.
-- AUTOINCREMENT: a number that was used once never names another version.
CREATE TABLE versions (
    version_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The bytes of the name, which need not be text in any encoding.
    path        BLOB    NOT NULL,
    file_id     BLOB    NOT NULL UNIQUE CHECK (length(file_id) = 32),
    -- The random bits in what file_id is the hash of.
    salt        BLOB    NOT NULL,
    desired     INTEGER NOT NULL CHECK (desired BETWEEN 1 AND 9),
    size        INTEGER NOT NULL CHECK (size >= 0),
    -- Size, mtime_ns, ctime_ns, device and inode in decimal, with spaces between: the last two may be beyond
    -- what SQLite's integers, which have a sign, can hold.
    fingerprint TEXT    NOT NULL,
    -- "under way" or "complete": the values of storage.interfaces.VersionState.
    state       TEXT    NOT NULL CHECK (state IN ('under way', 'complete')),
    degree_met  INTEGER NOT NULL CHECK (degree_met IN (0, 1))
);

CREATE INDEX versions_by_path ON versions (path, version_id);

-- There are few of these at any time; a start asks for all of them.
CREATE INDEX versions_unmet ON versions (version_id) WHERE degree_met = 0;

-- The chunks of each version, as far as they have been recorded.
CREATE TABLE chunks (
    version_id INTEGER NOT NULL REFERENCES versions (version_id),
    chunk_no   INTEGER NOT NULL CHECK (chunk_no BETWEEN 0 AND 999999),
    -- The digest and the name of its algorithm; both NULL until the chunk was read once.
    algorithm  TEXT,
    digest     BLOB,
    -- Ids of the peers that hold it: 8 bytes each, big-endian, rising.
    holders    BLOB NOT NULL CHECK (length(holders) % 8 = 0),
    PRIMARY KEY (version_id, chunk_no),
    CHECK ((algorithm IS NULL) = (digest IS NULL))
) WITHOUT ROWID;

-- FileIds that were deleted. They are never used again, and whoever still has chunks of one is told.
CREATE TABLE dead (
    file_id      BLOB    PRIMARY KEY NOT NULL CHECK (length(file_id) = 32),
    -- Seconds of the wall clock since 1970.
    buried_at    REAL    NOT NULL,
    is_announced INTEGER NOT NULL CHECK (is_announced IN (0, 1))
) WITHOUT ROWID;

CREATE INDEX dead_by_time ON dead (buried_at);
