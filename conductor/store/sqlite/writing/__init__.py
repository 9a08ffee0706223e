"""All that the one writer does: decisions, deletions, compaction."""
