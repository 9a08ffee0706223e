"""Limits of one evaluation. A result never depends on them: it is complete, or the limit is reported."""

MAX_MEMORY_BYTES = 512 * 1024 * 1024
MAX_CPU_SECONDS = 10
MAX_ANSWER_BYTES = 24 * 1024 * 1024
MAX_REQUEST_BYTES = 64 * 1024 * 1024

# Wall time, if the worker has had the processor meanwhile (see `pool`). Agents wait for quick ones; checks read files of any size.
QUICK_SECONDS = 5.0
# Of a request's first try, in the lane that agents wait for; then it has QUICK_SECONDS in the lane of the folds.
FIRST_SECONDS = 0.5
CHECK_SECONDS = 20.0
SLOW_SECONDS = 30.0

QUICK_WORKERS = 2
FOLD_WORKERS = 1
REPORT_WORKERS = 1
# Jobs of one run that are prepared, wait in the pipe, or are finished, while a fold or report is evaluated.
SLOW_JOBS_AT_ONCE = 4
# Runs and steps are capped, so the first is never reached; requests come from any caller.
MAX_WAITING = 100_000
MAX_WAITING_REQUESTS = 256
MAX_WAIT_SECONDS = 25.0

# How much of earlier results a request may hold.
MAX_TEXT_BYTES = 1024 * 1024
MAX_CITED_FILE_BYTES = 4 * 1024 * 1024
MAX_CITED_BYTES = 32 * 1024 * 1024
