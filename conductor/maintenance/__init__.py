"""Work on data at rest: backups, compaction, retention."""
