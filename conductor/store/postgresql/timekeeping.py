"""Keeps the engine's time for the next process, which `conductor.clock` makes a clock of."""

from conductor.clock import Past
from conductor.store.postgresql.pipeline import Connection, run_together
from conductor.store.postgresql.writer import Writer

_LAST = "SELECT time FROM journal ORDER BY id DESC LIMIT 1"
_AT_WORK = "SELECT EXISTS (SELECT 1 FROM runs WHERE end_time IS NULL)"
_KEEP = (
    "INSERT INTO clock (number, boot, time_offset) VALUES (1, %s, %s)"
    " ON CONFLICT (number) DO UPDATE SET boot = excluded.boot, time_offset = excluded.time_offset"
)


async def read_past(connection: Connection) -> Past:
    """Returns the time of the newest event, and the offset that was kept last."""
    last, at_work, kept = await run_together(
        connection, (_LAST, ()), (_AT_WORK, ()), ("SELECT boot, time_offset FROM clock", ())
    )
    return Past(last[0][0] if last else 0.0, at_work[0][0], *(kept[0] if kept else ("", 0.0)))


async def keep_offset(writer: Writer, boot: str, offset: float) -> None:
    """Keeps how far the engine's time lies ahead of the steady clock of a boot."""
    await writer.store([(_KEEP, (boot, offset))], is_durable=True)
