-- Hosts may be added, moved, removed and drained while the conductor runs.
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
