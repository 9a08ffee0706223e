"""Copies the results that a retry keeps out of the run that it retries."""

import hashlib
from dataclasses import replace

from conductor.core.decide.reuse import Kept
from conductor.core.folded.attempt import Attempt
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.events.event_parts import KeptResult
from conductor.core.model.inputs import Blob
from conductor.errors import InvalidRequestError, Violation
from conductor.store.answers import read_answer
from conductor.store.port import Store

MAX_TEXT_BYTES = 1024 * 1024  # of an answer: later steps see no more of it
MAX_KEPT_RESULT_BYTES = 64 * 1024 * 1024


class KeptResults:
    """Collects the blobs of kept results, each once."""

    def __init__(self, store: Store, source: Run) -> None:
        self._store = store
        self._source = source
        self._blobs: dict[str, Blob] = {}
        self._bytes = 0

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Returns what the copies name."""
        return tuple(self._blobs.values())

    async def copy(self, kept: Kept) -> tuple[KeptResult, ...]:
        """Returns the results of steps, and those that wait for theirs. Raises InvalidRequestError where they hold too much."""
        copies = [await self._copy(step) for step in kept.steps]
        for result in kept.waiting:
            for digest in (result.text, result.findings, result.output):
                await self._bring(digest)
        return (*copies, *kept.waiting)

    async def _copy(self, step: Step) -> KeptResult:
        attempt = step.last_attempt
        text, size = await self._text(step, attempt)
        output = step.output_blob
        for digest in (step.findings, output):
            await self._bring(digest)
        copied = step.reused or describe(self._source.id, step)
        return replace(copied, text=text, text_bytes=size, output=output)

    async def _text(self, step: Step, attempt: Attempt | None) -> tuple[str, int]:
        """Returns the digest of a step's text, and the size of the whole text."""
        if step.text:
            size = await self._bring(step.text)
            return step.text, step.reused.text_bytes if step.reused is not None else size
        if not step.has_text or attempt is None or not attempt.ended_well:
            return "", 0
        data, size = await read_answer(self._store, attempt, MAX_TEXT_BYTES)
        return (self._put(hashlib.sha256(data).hexdigest(), data), size) if data else ("", size)

    async def _bring(self, digest: str) -> int:
        if not digest:
            return 0
        if digest not in self._blobs:
            self._put(digest, await self._store.blob(self._source.id, digest))
        return len(self._blobs[digest].data)

    def _put(self, digest: str, data: bytes) -> str:
        self._blobs[digest] = Blob(digest, data)
        self._bytes += len(data)
        if self._bytes > MAX_KEPT_RESULT_BYTES:
            text = f"the results to keep hold more than {MAX_KEPT_RESULT_BYTES} bytes; ask for all steps, or name one further up"
            raise InvalidRequestError(Violation("again", text))
        return digest


def describe(run: str, step: Step) -> KeptResult:
    """Returns how a step ended, and where it ran, without its results."""
    attempt = step.last_attempt
    described = KeptResult(
        step=step.plan.id,
        run=run,
        state=step.state,
        item=step.plan.item,
        began=step.start_time is not None,
        findings=step.findings,
        counts=step.counts,
        reason=step.reason,
        failure=step.failure,
        is_dispensable=step.is_dispensable,
        repair=step.repair.failure.message if step.repair is not None else "",
    )
    if attempt is None:
        return described
    return replace(
        described,
        attempt=attempt.id,
        attempts=attempt.number,
        agent=attempt.agent,
        host=attempt.host,
        model=attempt.end.model_use.model if attempt.end.model_use is not None else "",
        answer_truncated=attempt.end.answer_truncated,
        answer_note=attempt.end.answer_note,
        confinement=replace(attempt.confinement, argv=()) if attempt.confinement is not None else None,
    )
