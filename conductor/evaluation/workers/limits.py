"""How much one evaluation may take. A result never depends on them: it is given whole, or the limit is told."""

MAX_MEMORY_BYTES = 512 * 1024 * 1024
MAX_CPU_SECONDS = 10
MAX_ANSWER_BYTES = 24 * 1024 * 1024
MAX_REQUEST_BYTES = 64 * 1024 * 1024

# Of the wall clock, where a worker has had the processor meanwhile (see `workers`). Others wait for what is quick; checks read
# files of the repository's size; folds and reports have lanes.
QUICK_SECONDS = 5.0
CHECK_SECONDS = 20.0
SLOW_SECONDS = 30.0

QUICK_WORKERS = 2
FOLD_WORKERS = 1
REPORT_WORKERS = 1
# So many folds, and reports, are gathered for, wait in the pipe, and are dealt with, while one is evaluated.
SLOW_JOBS_AT_ONCE = 4
# Unfinished runs and their steps are capped, so the first is never met; requests come from anybody.
MAX_WAITING = 100_000
MAX_WAITING_REQUESTS = 256

# What a request may hold of what came before.
MAX_TEXT_BYTES = 1024 * 1024
MAX_CITED_FILE_BYTES = 4 * 1024 * 1024
MAX_CITED_BYTES = 32 * 1024 * 1024
