"""The store in PostgreSQL, for conductors on several machines (docs/architecture.md). Only `conductor.app` chooses."""
