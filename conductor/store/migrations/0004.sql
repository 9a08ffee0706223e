-- Request ids are remembered beyond the run that they made, as long as its deletion is.
CREATE TABLE spent_requests (
  request_id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  run TEXT NOT NULL REFERENCES deletions ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_requests_by_run ON spent_requests (run);
