"""Everything that outlives the conductor's process. The only part that knows the database; see `store.Store`."""
