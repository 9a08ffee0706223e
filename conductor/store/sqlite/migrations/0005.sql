-- A deletion has its place among the events of all runs, so that those who follow them hear of it.
ALTER TABLE deletions ADD COLUMN id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deletions ADD COLUMN flow TEXT NOT NULL DEFAULT '';
ALTER TABLE deletions ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
CREATE INDEX deletions_by_id ON deletions (id) WHERE id > 0;
