"""The limits of pushed snapshots that no setting changes; `conductor.config.Pushes` has the others."""

MAX_COMMITS = 5000  # of an offer, and of its shallow ones
# Of what an offer says of its snapshot. A run's plan keeps notes and dirty paths in memory: both together have so many characters.
MAX_NOTES = 100
MAX_NOTE_CHARACTERS = 2000
MAX_SHOWN_CHARACTERS = 64 * 1024
MAX_CONVERTED_PATHS = 5000
MAX_CHUNK_BYTES = 1024 * 1024
MAX_PACK_BYTES = 4 * 1024 * 1024 * 1024
MAX_PARTIAL_PACKS = 8  # of one caller
PARTIAL_SECONDS = 24 * 3600.0
MAX_SNAPSHOTS = 200  # of one caller
# Snapshots that were not used for so long go where a push needs their room.
RECENT_SECONDS = 3600.0
# That a push leaves free on the disk, beside what it brings.
FREE_BYTES = 512 * 1024 * 1024
