"""Stores one decision, whole or not at all: one pipeline, after a look at what is not known yet."""

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.run_events import RunCreated, StepsAdded
from conductor.core.model.plan import StepPlan
from conductor.store.codec import decode_event
from conductor.store.postgresql.pipeline import Row, Statement
from conductor.store.postgresql.writer import Writer
from conductor.store.postgresql.writing.batch import Batch, Written
from conductor.store.postgresql.writing.hosts import change_hosts
from conductor.store.postgresql.writing.known import Known
from conductor.store.rows.projection import drop_merged, find_document

_STEPS = "SELECT type, data FROM journal WHERE run = %s AND type IN ('RunCreated', 'StepsAdded') ORDER BY position"
_FINDERS = "SELECT step, verified, moved, missing FROM finders WHERE run = %s"


async def write(writer: Writer, known: Known, decision: Decision, time: float) -> Written:
    """Stores a decision; returns its events and texts by run, as a reader would read them."""
    try:
        await known.prepare(writer, decision)
        batch = Batch(decision, time, known, writer.last_id, await _read_documents(writer, decision))
        batch.fill()
        statements = [*batch.statements(), *change_hosts(decision.hosts, time, batch.take_id)]
        for run in batch.finders:
            statements += await _drop_merged(writer, batch, run)
        await writer.store(statements, last_id=batch.last_id, is_durable=decision.durable)
    except BaseException:
        known.forget()
        raise
    return batch.written


async def _read_documents(writer: Writer, decision: Decision) -> dict[str, bytes]:
    """Returns the documents of findings that the decision's events name."""
    wanted = {find_document(item.event) for item in decision.to_store if isinstance(item, Record)} - {""}
    if not wanted:
        return {}
    found = {blob.digest: blob.data for blob in decision.blobs if blob.digest in wanted}
    if missing := sorted(wanted - found.keys()):
        rows = await writer.ask("SELECT digest, data FROM blobs WHERE digest = ANY(%s)", missing)
        found |= {digest: bytes(data) for digest, data in rows}
    return found


async def _drop_merged(writer: Writer, batch: Batch, run: int) -> list[Statement]:
    """Returns what leaves only the findings that count, of those that are stored and those of this decision."""
    steps, finders = await writer.ask_together((_STEPS, (run,)), (_FINDERS, (run,)))
    all_steps = [step for row in steps for step in _steps_of(row)] + batch.steps.get(run, [])
    changes = drop_merged(run, all_steps, [*finders, *batch.finders[run]])
    return [(text.replace("?", "%s"), values) for text, values in changes]


def _steps_of(row: Row) -> tuple[StepPlan, ...]:
    match decode_event(*row):
        case RunCreated(plan):
            return plan.steps
        case StepsAdded(steps):
            return steps
        case _:
            return ()
