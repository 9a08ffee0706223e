-- A database that was migrated elsewhere says so, and one that is not whole yet.
ALTER TABLE meta ADD COLUMN moved TEXT NOT NULL DEFAULT '';
