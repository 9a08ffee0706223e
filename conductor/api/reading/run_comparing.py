"""CompareRuns: returns the findings that are new, fixed or persistent between two settled runs."""

import asyncio
from collections.abc import Iterator, Sequence

from conductor.api.messages.findings import max_rank
from conductor.api.messages.names import read_run
from conductor.api.messages.tokens import read_page_size
from conductor.api.reading.run_reading import RunReading, read_finding, require_settled
from conductor.core.folded.run import Run
from conductor.core.model.states import RunState
from conductor.errors import InvalidRequestError, Violation
from conductor.evaluation.evidence.comparison import Document, compare
from conductor.store.port import PAGE_ROWS, Store
from conductor.store.records import FindingKey, FindingRow
from conductor.v1 import run_service_pb2 as pb

MAX_COMPARED = 5_000  # findings of each run
MAX_LIST_BYTES = 700_000  # three lists stay below what clients of gRPC take


class RunComparing:
    """Reads the findings of two runs and sets them side by side."""

    def __init__(self, store: Store, reading: RunReading) -> None:
        self._store = store
        self._reading = reading

    async def compare(self, request: pb.CompareRunsRequest) -> pb.CompareRunsResponse:
        """Returns the comparison."""
        rank, most = _read_rank(request), read_page_size(request.page_size)
        names = read_run(request.before, "before"), read_run(request.after, "after")
        before, after = [await self._settled(name) for name in names]
        rows = [await self._rows(run.id, rank) for run in (before, after)]
        notes = [*_notes(before, after), *_cuts(names, rows)]
        return await asyncio.to_thread(_compared, names, rows, most, notes)

    async def _settled(self, name: str) -> Run:
        run, _ = await self._reading.folded(name)
        require_settled(run, "its findings are complete when it ends")
        return run

    async def _rows(self, run: str, rank: int) -> list[FindingRow]:
        """Returns the most severe findings of a run: one more than are compared, where there are so many."""
        found: list[FindingRow] = []
        place: FindingKey | None = None
        while len(found) <= MAX_COMPARED:
            page = await self._store.findings(run, PAGE_ROWS, place, max_rank=rank)
            found += page.rows
            place = page.next
            if place is None:
                break
        return found[: MAX_COMPARED + 1]


def _compared(
    runs: Sequence[str], rows: Sequence[Sequence[FindingRow]], most: int, notes: Sequence[str]
) -> pb.CompareRunsResponse:
    found = compare(*(list(_documents(run, of_run)) for run, of_run in zip(runs, rows, strict=True)))
    return pb.CompareRunsResponse(
        new=_messages(found.new[:most]),
        fixed=_messages(found.fixed[:most]),
        persistent=_messages(found.persistent[:most]),
        new_count=len(found.new),
        fixed_count=len(found.fixed),
        persistent_count=len(found.persistent),
        notes=notes,
    )


def _documents(run: str, rows: Sequence[FindingRow]) -> Iterator[Document]:
    """Yields what tells each finding from others, and its message."""
    for row in rows[:MAX_COMPARED]:
        message = read_finding(run, row)
        prints = {"fingerprint": message.fingerprint, "former_fingerprint": message.former_fingerprint}
        yield {"id": message.id, **prints, "message": message}


def _messages(documents: Sequence[Document]) -> Iterator[pb.Finding]:
    room = MAX_LIST_BYTES
    for document in documents:
        message: pb.Finding = document["message"]
        room -= message.ByteSize()
        if room < 0:
            return
        yield message


def _notes(before: Run, after: Run) -> Iterator[str]:
    """Yields what makes two runs hard to compare."""
    for run in (before, after):
        if run.state is not RunState.SUCCEEDED:
            yield f"run {run.id} {run.state}: what it did not look at is missing here"
    for what in ("workspace_path", "flow", "band"):
        values = getattr(before.plan, what), getattr(after.plan, what)
        if values[0] != values[1]:
            yield f"the runs differ in {what.replace('_', ' ')}: {values[0]} and {values[1]}"


def _cuts(runs: Sequence[str], rows: Sequence[Sequence[FindingRow]]) -> Iterator[str]:
    for run, of_run in zip(runs, rows, strict=True):
        if len(of_run) > MAX_COMPARED:
            yield f"run {run} has more than {MAX_COMPARED} findings: only its most severe are compared"


def _read_rank(request: pb.CompareRunsRequest) -> int:
    try:
        return max_rank(request.min_severity)
    except ValueError as error:
        raise InvalidRequestError(Violation("min_severity", "is not a value of the enumeration")) from error
