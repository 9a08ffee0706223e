"""RetryRun: makes a new run of an ended one, and copies the results that it keeps.

The new run has everything that it needs: kept results are blobs of its own, also an agent's answer, which is a transcript in the
source. So the source may be deleted at any moment after the engine has stored the new run.
"""

from dataclasses import replace

from conductor.api.messages.names import read_run, read_step, run_name
from conductor.api.reading.run_reading import require_settled
from conductor.api.request_ids import digest_of, read_request_id
from conductor.api.run_creation import RunCreation
from conductor.api.run_ids import new_run_id
from conductor.clock import Clock
from conductor.core.decide.reuse import Again, Kept, choose_kept
from conductor.core.folded.run import Run
from conductor.core.model.inputs import Blob, RequestRun
from conductor.core.model.states import RunState, StepState
from conductor.core.model.trace import Trace
from conductor.errors import InvalidRequestError, NotFoundError, PreconditionError, Violation
from conductor.store.folding import fold_stored
from conductor.store.kept_results import KeptResults
from conductor.store.port import Store
from conductor.v1 import run_service_pb2 as pb
from servicekit.calls.callers import current_caller

_BADLY = frozenset({StepState.FAILED, StepState.CANCELLED})


class RunRetry:
    """Makes runs of ended runs."""

    def __init__(self, store: Store, creation: RunCreation, clock: Clock) -> None:
        self._store = store
        self._creation = creation
        self._clock = clock

    async def create(self, request: pb.RetryRunRequest, trace: Trace | None = None) -> str:
        """Returns the id of the run that this request created, now or before."""
        source_id, again, step = _read(request)
        request_id = read_request_id(request.request_id)
        digest = digest_of(request)
        if known := await self._creation.find_known(request_id, digest):
            return known
        with self._creation.room():
            source = fold_stored(source_id, await self._store.events(source_id))
            kept = _choose(source, again, step)
            is_kept = {one.plan.id for one in kept.steps}
            self._creation.require_known_agents([one for one in source.plan.steps if one.id not in is_kept])
            results = KeptResults(self._store, source)
            copies = await results.copy(kept)
            blobs = [Blob(name, await self._store.blob(source_id, name)) for name in source.plan.blobs]
            run, caller = new_run_id(self._clock.now()), current_caller().identity
            plan = replace(source.plan, run=run, retry_of=source_id, created_by=caller)
            asked = RequestRun(plan, (*blobs, *results.blobs), request_id, digest, kept=copies, trace=trace)
            return await self._creation.submit(asked)


def _read(request: pb.RetryRunRequest) -> tuple[str, Again, str]:
    """Returns the run, which of its steps are to run again, and the step that is named."""
    run = read_run(request.name)
    match request.WhichOneof("again"):
        case "step":
            owner, step = read_step(request.step, "step")
            if owner != run:
                raise InvalidRequestError(Violation("step", f"is a step of another run than {request.name}"))
            return run, Again.STEP, step
        case "all":
            return run, Again.ALL, ""
        case _:
            return run, Again.FAILED, ""


def _choose(source: Run, again: Again, step: str) -> Kept:
    require_settled(source, "only a run that has ended can be retried")
    if source.plan.parent is not None:
        root = source.plan.root
        text = f"run {source.id} is part of run {root}, and is run again with it only"
        raise PreconditionError("RUN_IS_SUB_RUN", text, subject=run_name(root), hint=f"conductor retry {root}")
    if step and step not in source.steps:
        known = ", ".join(source.steps)
        raise NotFoundError("step", step, hint=f"the run has {known}", metadata={"known": known})
    has_failed = source.state is not RunState.SUCCEEDED or any(one.state in _BADLY for one in source.steps.values())
    if again is Again.FAILED and not has_failed:
        text = f"no step of run {source.id} failed or was cancelled; name a step, or ask for all"
        raise InvalidRequestError(Violation("failed", text))
    return choose_kept(source, again, step)
