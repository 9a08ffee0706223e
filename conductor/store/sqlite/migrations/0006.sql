-- Sub-runs are hidden from lists, and deleted with the run that a caller asked for.
ALTER TABLE runs ADD COLUMN root TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_by_root ON runs (root) WHERE root <> '';
