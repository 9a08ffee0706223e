-- Request ids are remembered beyond the run that they made, as long as its deletion is.
CREATE TABLE spent_requests (
  request_id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  run TEXT NOT NULL REFERENCES deletions ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_requests_by_run ON spent_requests (run);

-- What deleted a run is no request for another one.
CREATE INDEX deletions_by_request ON deletions (request_id) WHERE request_id <> '';

-- Ids are compared in lower case from now on, and were kept as they came. Where both spellings made something, both stay.
UPDATE OR IGNORE requests SET request_id = lower(request_id);
UPDATE deletions SET request_id = lower(request_id);

-- A restart goes on with the engine's time where the machine's steady clock says that it is, not where its wall clock does.
CREATE TABLE clock (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  boot TEXT NOT NULL,
  offset REAL NOT NULL
) STRICT;
