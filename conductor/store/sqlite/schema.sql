-- The conductor's database, newest version. A new database is made from this file; migrations/NNNN.sql bring an older one here.
-- The version is SCHEMA_VERSION in migration.py; a change of this file adds a migration and raises it.
--
-- Two planes, one order: journal (what happened) and chunks (what agents said) draw their ids from one counter, and their
-- positions from one gapless sequence per run. Everything else can be computed from these two, and is kept for reading. Small
-- chunks of settled runs become blocks, which read as the chunks did.

CREATE TABLE meta (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  conductor_id TEXT NOT NULL,
  epoch INTEGER NOT NULL,    -- grows by one each time the database is opened
  last_id INTEGER NOT NULL,  -- of journal, chunks and deletions together; never goes back, even when rows are deleted
  moved TEXT NOT NULL DEFAULT '' -- JSON of Move: where the rows went or come from; empty where they are served here
) STRICT;

-- The time of the newest process: the next one continues it (conductor/clock.py).
CREATE TABLE clock (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  boot TEXT NOT NULL,        -- of the machine: the life of its steady clock
  offset REAL NOT NULL       -- of the engine's time from that clock, in seconds
) STRICT;

-- A projection for lists and filters.
CREATE TABLE runs (
  key INTEGER PRIMARY KEY,
  run TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  create_time REAL NOT NULL,
  start_time REAL,
  end_time REAL,
  flow TEXT NOT NULL,
  workspace_path TEXT NOT NULL,
  question TEXT NOT NULL,    -- case folded, to be searched
  labels TEXT NOT NULL,      -- JSON object
  plan TEXT NOT NULL,        -- JSON of RunPlan, without its steps
  inputs TEXT NOT NULL,      -- digest of a blob
  failure TEXT,              -- JSON of Failure
  verified INTEGER NOT NULL DEFAULT 0,
  moved INTEGER NOT NULL DEFAULT 0,
  missing INTEGER NOT NULL DEFAULT 0,
  last_position INTEGER NOT NULL DEFAULT 0,
  delete_time REAL,          -- since when the run is hidden; its rows are removed slice by slice
  compacted_to INTEGER NOT NULL DEFAULT 0, -- the position up to which its small chunks were packed into blocks
  root TEXT NOT NULL DEFAULT ''  -- of a sub-run: the run that a caller asked for, with which it is deleted
) STRICT;
CREATE INDEX runs_by_root ON runs (root) WHERE root <> '';
CREATE INDEX runs_by_time ON runs (create_time, run);
CREATE INDEX runs_by_flow ON runs (flow, create_time, run);
CREATE INDEX runs_unfinished ON runs (run) WHERE end_time IS NULL;
CREATE INDEX runs_by_end ON runs (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX runs_deleted ON runs (key) WHERE delete_time IS NOT NULL;
CREATE INDEX runs_uncompacted ON runs (end_time, run) WHERE end_time IS NOT NULL AND compacted_to < last_position;

CREATE TABLE journal (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  position INTEGER NOT NULL,
  time REAL NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  data TEXT NOT NULL,        -- JSON of the event
  UNIQUE (run, position)
) STRICT;
CREATE UNIQUE INDEX journal_keys ON journal (run, key) WHERE key <> '';

CREATE TABLE attempts (
  key INTEGER PRIMARY KEY,
  attempt TEXT NOT NULL UNIQUE,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  step TEXT NOT NULL,
  cursor INTEGER NOT NULL DEFAULT 0  -- the last frame stored
) STRICT;
CREATE INDEX attempts_by_run ON attempts (run);

CREATE TABLE chunks (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  position INTEGER NOT NULL,
  time REAL NOT NULL,
  attempt INTEGER NOT NULL REFERENCES attempts ON DELETE CASCADE,
  channel TEXT NOT NULL,
  end_byte INTEGER NOT NULL, -- of the channel, so that the index alone knows the channel's length
  text BLOB NOT NULL,        -- UTF-8, whole characters
  UNIQUE (run, position),
  UNIQUE (attempt, channel, end_byte)
) STRICT;

-- Chunks of one run, packed (conductor/store/rows/packing.py). A run's blocks do not overlap; between a block's entries may lie
-- positions of events, and of chunks that stayed.
CREATE TABLE blocks (
  key INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  position INTEGER NOT NULL, -- of its last entry
  first_position INTEGER NOT NULL,
  entries INTEGER NOT NULL,  -- how many chunks it stands for
  data BLOB NOT NULL,
  UNIQUE (run, position)
) STRICT;

-- Pieces of channels without a gap: where a block's texts lie in them.
CREATE TABLE strips (
  attempt INTEGER NOT NULL REFERENCES attempts ON DELETE CASCADE,
  channel TEXT NOT NULL,
  end_byte INTEGER NOT NULL, -- of the channel, as in chunks
  start_byte INTEGER NOT NULL,
  block INTEGER NOT NULL REFERENCES blocks ON DELETE CASCADE,
  number INTEGER NOT NULL,   -- by which the block's entries name it
  PRIMARY KEY (attempt, channel, end_byte)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX strips_by_block ON strips (block, number);

CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;

-- Which runs need a blob; one that no run needs can go.
CREATE TABLE run_blobs (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  digest TEXT NOT NULL REFERENCES blobs,
  PRIMARY KEY (run, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_blobs_by_digest ON run_blobs (digest);

CREATE TABLE requests (
  request_id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_run ON requests (run);

-- The runs that were deleted last, so that a repeated request is answered as before, and says when and why.
CREATE TABLE deletions (
  run TEXT PRIMARY KEY,
  time REAL NOT NULL,
  request_id TEXT NOT NULL,  -- empty where the caller gave none, or there was no caller
  why TEXT NOT NULL,
  id INTEGER NOT NULL DEFAULT 0,       -- its place among journal and chunks; 0 where an earlier version deleted the run
  flow TEXT NOT NULL DEFAULT '',       -- flow and labels of the run, for filters
  labels TEXT NOT NULL DEFAULT '{}'
) STRICT, WITHOUT ROWID;
CREATE INDEX deletions_by_time ON deletions (time);
CREATE INDEX deletions_by_id ON deletions (id) WHERE id > 0;
CREATE INDEX deletions_by_request ON deletions (request_id) WHERE request_id <> '';

-- The request ids of deleted runs, for as long as their deletion is remembered: a request that created a run creates no second
-- one because the first was deleted.
CREATE TABLE spent_requests (
  request_id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  run TEXT NOT NULL REFERENCES deletions ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_requests_by_run ON spent_requests (run);

-- Steps with findings. Which of them count: list_counted_steps in conductor/core/model/run.py.
CREATE TABLE finders (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  step TEXT NOT NULL,
  verified INTEGER NOT NULL,
  moved INTEGER NOT NULL,
  missing INTEGER NOT NULL,
  PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

-- The findings that count, and no others.
CREATE TABLE findings (
  key INTEGER PRIMARY KEY,   -- keeps the order of the step's result
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  step TEXT NOT NULL,
  finding TEXT NOT NULL,     -- its id
  rank INTEGER NOT NULL,     -- of its severity; 0 is critical, 4 is info
  status TEXT NOT NULL,
  data TEXT NOT NULL         -- JSON
) STRICT;
CREATE INDEX findings_by_rank ON findings (run, rank, key);

-- Tokens by which callers are known (conductor/core/access/tokens.py), revoked ones included. A time is 0 where it never was.
CREATE TABLE tokens (
  digest TEXT PRIMARY KEY,   -- SHA-256; the token itself is kept nowhere
  name TEXT NOT NULL,        -- of one token that is not revoked
  role TEXT NOT NULL,
  create_time REAL NOT NULL,
  created_by TEXT NOT NULL,
  use_time REAL NOT NULL,
  revoke_time REAL NOT NULL,
  revoked_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The hosts that were added while the conductor ran, and the drains of all hosts.
CREATE TABLE hosts (
  host TEXT PRIMARY KEY,
  address TEXT NOT NULL,     -- empty for a host of the configuration, of which only its drain is kept
  drained_by TEXT NOT NULL,
  drain_time REAL            -- since when nothing starts there; NULL where it is not drained
) STRICT, WITHOUT ROWID;

-- The request ids of the last changes of hosts.
CREATE TABLE host_requests (
  key INTEGER PRIMARY KEY,
  request_id TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL,
  host TEXT NOT NULL,
  time REAL NOT NULL
) STRICT;
