-- Tokens by which callers are known.
CREATE TABLE tokens (
  digest TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  create_time REAL NOT NULL,
  created_by TEXT NOT NULL,
  use_time REAL NOT NULL,
  revoke_time REAL NOT NULL,
  revoked_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
