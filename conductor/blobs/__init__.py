"""Blobs: immutable objects by name, which every conductor of one store can reach. `port` says what each store of them keeps.

`folder` keeps them in a directory, `s3` in a bucket; `own` shows one conductor what is its own. The store in PostgreSQL stands
beside its engine, `conductor.store.postgresql`, because its writes begin with that engine's fence. No store knows what its objects
mean: `conductor.snapshots.copies` does.
"""
