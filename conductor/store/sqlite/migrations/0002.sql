-- Runs can be deleted: first from sight, in one transaction, then from the disk, bit by bit.
ALTER TABLE runs ADD COLUMN delete_time REAL;
CREATE INDEX runs_by_end ON runs (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX runs_deleted ON runs (key) WHERE delete_time IS NOT NULL;
CREATE INDEX run_blobs_by_digest ON run_blobs (digest);
CREATE TABLE deletions (
  run TEXT PRIMARY KEY,
  time REAL NOT NULL,
  request_id TEXT NOT NULL,
  why TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deletions_by_time ON deletions (time);
