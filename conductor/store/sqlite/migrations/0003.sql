-- What settled runs said in small rows is packed into blocks.
ALTER TABLE runs ADD COLUMN compacted_to INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_uncompacted ON runs (end_time, run) WHERE end_time IS NOT NULL AND compacted_to < last_position;
CREATE TABLE blocks (
  key INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  position INTEGER NOT NULL,
  first_position INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  data BLOB NOT NULL,
  UNIQUE (run, position)
) STRICT;
CREATE TABLE strips (
  attempt INTEGER NOT NULL REFERENCES attempts ON DELETE CASCADE,
  channel TEXT NOT NULL,
  end_byte INTEGER NOT NULL,
  start_byte INTEGER NOT NULL,
  block INTEGER NOT NULL REFERENCES blocks ON DELETE CASCADE,
  number INTEGER NOT NULL,
  PRIMARY KEY (attempt, channel, end_byte)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX strips_by_block ON strips (block, number);
