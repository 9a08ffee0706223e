"""The sizes of a deletion: a slice is one small transaction, since the engine's decisions wait behind it."""

SLICE_ROWS = 500
SLICE_BYTES = 2 * 1024 * 1024
SLICE_BLOBS = 8  # each may hold megabytes
SLICE_BLOCKS = 4  # each stands for thousands of rows, and may have as many strips
DELETIONS_REMEMBERED = 100_000  # with their request ids: at most 60 MiB
