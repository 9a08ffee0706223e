"""Findings and their evidence: extraction, citation checks, merging."""
