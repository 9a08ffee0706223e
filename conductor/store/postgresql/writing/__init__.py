"""All that the one writer does: decisions, deletions, compaction. The first statement of each transaction is the fence."""
