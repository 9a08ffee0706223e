-- The conductor's schema in PostgreSQL, newest version. A new one is made from this file; migrations/NNNN.sql bring an older one
-- here. The version is SCHEMA_VERSION in schema.py; a change of this file adds a migration and raises it. Version 1 is frozen: a
-- filled database of it is kept with the tests (tests/conductor/store/yesterday), and must open, and be read as it was.
--
-- Tables and columns are those of conductor/store/sqlite/schema.sql, where their comments stand. What differs: ids and keys come
-- from meta.last_id and never from a sequence, so the order of commits is the order of ids; the last position of a run is that of
-- its rows, since an update for each text would write the run's whole row again; journal and chunks refer to their runs without a
-- constraint, which would lock a row of `runs` for each text.

CREATE TABLE meta (
  number SMALLINT PRIMARY KEY CHECK (number = 1),
  schema_version INTEGER NOT NULL,
  conductor_id TEXT COLLATE "C" NOT NULL,
  epoch BIGINT NOT NULL,       -- grows by one with each takeover
  last_id BIGINT NOT NULL,     -- of journal, chunks and deletions together, and of keys; never goes back
  decision BIGINT NOT NULL,    -- number of the last append of this epoch: whether a broken COMMIT was carried out
  writer_pid INTEGER NOT NULL, -- of the backend that writes for this epoch
  lease_holder TEXT COLLATE "C" NOT NULL DEFAULT '', -- a name that no two processes have; empty where the lease is free
  lease_address TEXT NOT NULL DEFAULT '',            -- where clients reach the holder
  lease_end TIMESTAMPTZ NOT NULL DEFAULT '-infinity', -- by this server's clock_timestamp()
  moved TEXT NOT NULL DEFAULT ''                     -- JSON of Move: where the rows went or come from; then no lease is given
) WITH (fillfactor = 10);

CREATE TABLE clock (
  number SMALLINT PRIMARY KEY CHECK (number = 1),
  boot TEXT NOT NULL,
  time_offset DOUBLE PRECISION NOT NULL
);

CREATE UNLOGGED TABLE presence ( -- how the active conductor sees its hosts, for standbys; nothing is lost with it
  number SMALLINT PRIMARY KEY CHECK (number = 1),
  time TIMESTAMPTZ NOT NULL,
  data BYTEA NOT NULL
);

CREATE TABLE runs (
  key BIGINT PRIMARY KEY,
  run TEXT COLLATE "C" NOT NULL UNIQUE,
  state TEXT COLLATE "C" NOT NULL,
  create_time DOUBLE PRECISION NOT NULL,
  start_time DOUBLE PRECISION,
  end_time DOUBLE PRECISION,
  flow TEXT COLLATE "C" NOT NULL,
  workspace_path TEXT COLLATE "C" NOT NULL,
  question BYTEA NOT NULL,     -- UTF-8, case folded, to be searched; it may hold NUL
  labels TEXT NOT NULL,        -- JSON object
  label_pairs TEXT[] COLLATE "C" NOT NULL, -- each label as the JSON list of its name and value, to be filtered
  plan TEXT NOT NULL,          -- JSON of RunPlan as lists show it: without its steps, a long question cut
  inputs TEXT NOT NULL,
  failure TEXT,
  verified INTEGER NOT NULL DEFAULT 0,
  moved INTEGER NOT NULL DEFAULT 0,
  missing INTEGER NOT NULL DEFAULT 0,
  delete_time DOUBLE PRECISION,
  compacted_to BIGINT NOT NULL DEFAULT 0,
  is_compacted BOOLEAN NOT NULL DEFAULT false, -- no row after compacted_to is left to look at
  root TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX runs_by_root ON runs (root) WHERE root <> '';
CREATE INDEX runs_by_time ON runs (create_time, run);
CREATE INDEX runs_by_flow ON runs (flow, create_time, run);
CREATE INDEX runs_unfinished ON runs (run) WHERE end_time IS NULL;
CREATE INDEX runs_by_end ON runs (end_time, run) WHERE end_time IS NOT NULL;
CREATE INDEX runs_deleted ON runs (key) WHERE delete_time IS NOT NULL;
CREATE INDEX runs_uncompacted ON runs (end_time, run) WHERE end_time IS NOT NULL AND NOT is_compacted;

CREATE TABLE journal (
  id BIGINT PRIMARY KEY,
  run BIGINT NOT NULL,
  position BIGINT NOT NULL,
  time DOUBLE PRECISION NOT NULL,
  type TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  data TEXT NOT NULL,
  UNIQUE (run, position)
);
CREATE UNIQUE INDEX journal_keys ON journal (run, key) WHERE key <> '';

CREATE TABLE attempts (
  key BIGINT PRIMARY KEY,
  attempt TEXT COLLATE "C" NOT NULL UNIQUE,
  run BIGINT NOT NULL REFERENCES runs ON DELETE CASCADE,
  step TEXT NOT NULL,
  cursor BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX attempts_by_run ON attempts (run);

CREATE TABLE chunks (
  id BIGINT PRIMARY KEY,
  run BIGINT NOT NULL,
  position BIGINT NOT NULL,
  time DOUBLE PRECISION NOT NULL,
  attempt BIGINT NOT NULL,
  channel TEXT COLLATE "C" NOT NULL,
  end_byte BIGINT NOT NULL,
  text BYTEA NOT NULL,
  UNIQUE (run, position),
  UNIQUE (attempt, channel, end_byte)
);

CREATE TABLE blocks (
  key BIGINT PRIMARY KEY,
  run BIGINT NOT NULL,
  position BIGINT NOT NULL,
  first_position BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  data BYTEA NOT NULL,
  UNIQUE (run, position)
);
ALTER TABLE blocks ALTER COLUMN data SET STORAGE EXTERNAL; -- compressed already

CREATE TABLE strips (
  attempt BIGINT NOT NULL,
  channel TEXT COLLATE "C" NOT NULL,
  end_byte BIGINT NOT NULL,
  start_byte BIGINT NOT NULL,
  block BIGINT NOT NULL REFERENCES blocks ON DELETE CASCADE,
  number BIGINT NOT NULL,
  PRIMARY KEY (attempt, channel, end_byte)
);
CREATE UNIQUE INDEX strips_by_block ON strips (block, number);

CREATE TABLE blobs (
  digest TEXT COLLATE "C" PRIMARY KEY,
  data BYTEA NOT NULL
);

CREATE TABLE run_blobs (
  run BIGINT NOT NULL REFERENCES runs ON DELETE CASCADE,
  digest TEXT COLLATE "C" NOT NULL REFERENCES blobs,
  PRIMARY KEY (run, digest)
);
CREATE INDEX run_blobs_by_digest ON run_blobs (digest);

CREATE TABLE requests (
  request_id TEXT COLLATE "C" PRIMARY KEY,
  digest TEXT NOT NULL,
  run BIGINT NOT NULL REFERENCES runs ON DELETE CASCADE
);
CREATE INDEX requests_by_run ON requests (run);

CREATE TABLE deletions (
  run TEXT COLLATE "C" PRIMARY KEY,
  time DOUBLE PRECISION NOT NULL,
  request_id TEXT COLLATE "C" NOT NULL,
  why TEXT NOT NULL,
  id BIGINT NOT NULL,
  flow TEXT COLLATE "C" NOT NULL,
  labels TEXT NOT NULL
);
CREATE INDEX deletions_by_time ON deletions (time);
CREATE INDEX deletions_by_id ON deletions (id);
CREATE INDEX deletions_by_request ON deletions (request_id) WHERE request_id <> '';

CREATE TABLE spent_requests (
  request_id TEXT COLLATE "C" PRIMARY KEY,
  digest TEXT NOT NULL,
  run TEXT COLLATE "C" NOT NULL REFERENCES deletions ON DELETE CASCADE
);
CREATE INDEX spent_requests_by_run ON spent_requests (run);

CREATE TABLE finders (
  run BIGINT NOT NULL REFERENCES runs ON DELETE CASCADE,
  step TEXT COLLATE "C" NOT NULL,
  verified INTEGER NOT NULL,
  moved INTEGER NOT NULL,
  missing INTEGER NOT NULL,
  PRIMARY KEY (run, step)
);

CREATE TABLE findings (
  run BIGINT NOT NULL,
  rank SMALLINT NOT NULL,
  key BIGINT NOT NULL,         -- keeps the order of the step's result
  step TEXT COLLATE "C" NOT NULL,
  finding TEXT NOT NULL,
  status TEXT COLLATE "C" NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (run, rank, key)
);

CREATE TABLE tokens (
  digest TEXT COLLATE "C" PRIMARY KEY,
  name TEXT COLLATE "C" NOT NULL,
  role TEXT NOT NULL,
  create_time DOUBLE PRECISION NOT NULL,
  created_by TEXT NOT NULL,
  use_time DOUBLE PRECISION NOT NULL,
  revoke_time DOUBLE PRECISION NOT NULL,
  revoked_by TEXT NOT NULL
);

CREATE TABLE hosts (
  host TEXT COLLATE "C" PRIMARY KEY,
  address TEXT NOT NULL,
  drained_by TEXT NOT NULL,
  drain_time DOUBLE PRECISION
);

CREATE TABLE host_requests (
  key BIGINT PRIMARY KEY,
  request_id TEXT COLLATE "C" NOT NULL UNIQUE,
  digest TEXT NOT NULL,
  host TEXT NOT NULL,
  time DOUBLE PRECISION NOT NULL
);

-- Blobs of others than runs (conductor/blobs/port.py): copies of snapshots.
CREATE TABLE blob_objects (
  name TEXT COLLATE "C" PRIMARY KEY,
  upload BIGINT NOT NULL,      -- 0 without content
  chunks INTEGER NOT NULL
);
CREATE INDEX blob_objects_by_upload ON blob_objects (upload);

CREATE TABLE blob_uploads ( -- all of them: those that no object names were cut
  upload BIGINT PRIMARY KEY,
  time TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE blob_chunks (
  upload BIGINT NOT NULL,
  number INTEGER NOT NULL,
  data BYTEA NOT NULL,
  PRIMARY KEY (upload, number)
);
ALTER TABLE blob_chunks ALTER COLUMN data SET STORAGE EXTERNAL; -- compressed already

-- Where the database was when a conductor led it last (conductor/store/postgresql/place.py).
CREATE TABLE place (
  number SMALLINT PRIMARY KEY CHECK (number = 1),
  server TEXT NOT NULL,        -- the server's own id, and the number of the database in it
  timeline BIGINT NOT NULL,
  is_synchronous BOOLEAN NOT NULL -- a COMMIT waited for a replica
);
