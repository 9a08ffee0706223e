"""Reads the activities of a text that was stored: those whose lines end in it.

A line that is longer than a row of the store begins in an earlier one; its beginning is read back then.
"""

from conductor.core.model.activity import Activity, LineReader, read_line
from conductor.core.model.output import Channel
from conductor.errors import DatabaseDamagedError
from conductor.store.port import Store
from conductor.store.records import StoredOutput

STEP_BYTES = 64 * 1024


async def read_activities(store: Store, stored: StoredOutput) -> list[Activity]:
    """Returns the activities whose lines end in a text of their channel."""
    text = stored.output.text
    if "\n" not in text:
        return []
    is_begun = stored.offset > 0 and read_line(text.partition("\n")[0]) is None
    beginning = await _read_back(store, stored.output.attempt, stored.offset) if is_begun else ""
    return LineReader(beginning).feed(text)


async def _read_back(store: Store, attempt: str, offset: int) -> str:
    """Returns the text between the last end of a line before an offset and that offset."""
    beginning = b""
    while offset > 0:
        start = max(offset - STEP_BYTES, 0)
        try:
            piece, _ = await store.channel(attempt, Channel.ACTIVITY, start, offset - start)
        except DatabaseDamagedError:  # of an earlier row: the text itself could be read
            return ""
        _, end, line = piece.rpartition(b"\n")
        beginning = line + beginning
        if end:
            break
        offset = start
    return beginning.decode(errors="replace")
