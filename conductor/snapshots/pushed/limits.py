"""The limits of pushed snapshots that no setting changes; `conductor.config.Pushes` has the others."""

MAX_COMMITS = 5000  # of an offer, and of its shallow ones
MAX_CHUNK_BYTES = 1024 * 1024
MAX_PACK_BYTES = 4 * 1024 * 1024 * 1024
MAX_PARTIAL_PACKS = 8  # of one caller
PARTIAL_SECONDS = 24 * 3600.0
MAX_SNAPSHOTS = 200  # of one caller
# Snapshots that were not used for so long go where a push needs their room.
RECENT_SECONDS = 3600.0
# That a push leaves free on the disk, beside what it brings.
FREE_BYTES = 512 * 1024 * 1024
