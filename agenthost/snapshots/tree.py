"""Reads a snapshot's listing. Pure; a listing goes in, entries or a refusal come out.

A conductor is trusted to choose what is read, not where to write. `servicekit.snapshot_rules` judges the paths.
What is too large is refused for good, not for now: it will be as large tomorrow.
"""

from agenthost.errors import SnapshotInvalidError
from servicekit.snapshot_rules import FILE, OLD_FILE, Entry, why_refused


def parse(listing: bytes) -> tuple[Entry, ...]:
    """Reads the output of `git ls-tree -r -l -z`, or refuses it."""
    entries = tuple(_entry(record) for record in listing.split(b"\0") if record)
    if why := why_refused(entries):
        raise SnapshotInvalidError(why)
    return entries


def _entry(record: bytes) -> Entry:
    head, _, path = record.partition(b"\t")
    words = head.decode("ascii", "replace").split()
    if len(words) != 4:
        raise SnapshotInvalidError(f"git lists its tree in an unknown form: {record[:100]!r}")
    mode, _, oid, size = words
    return Entry(path, FILE if mode == OLD_FILE else mode, oid, 0 if size == "-" else int(size))
