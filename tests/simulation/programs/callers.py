"""Simulated callers: each wants one run, asks until it is answered, and now and then again, wrongly, or for the run's end.

In some worlds they want the retry of each run as well, once that has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from conductor.core.decide.reuse import Again, choose_kept
from conductor.core.folded.run import Run
from conductor.core.model.commands import Accepted
from conductor.core.model.events.event_parts import KeptResult
from conductor.core.model.inputs import Request, RequestCancel, RequestResolve, RequestRun
from conductor.core.model.registry import HostRequest
from conductor.engine.loop import Engine
from conductor.errors import (
    NoCapacityError,
    PreconditionError,
    RequestIdReusedError,
    ShuttingDownError,
    StatusError,
    StorageError,
)
from conductor.store.kept_results import describe
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.calling import add_calls
from tests.simulation.programs.operator import Operator
from tests.simulation.programs.people import People
from tests.simulation.programs.plans import make_plan

RETRYING_WORLDS = 0.25


class Callers:
    operator: Operator

    def __init__(self, rng: Random, seed: int) -> None:
        self.rng = rng
        self.people = People(seed)
        self.wanted = [
            RequestRun(
                add_calls(make_plan(rng, seed * 10 + number)), (), f"id{number}", f"digest{number}", reply=number + 1
            )
            for number in range(rng.choice((1, 1, 2, 3)))
        ]
        self.answered: set[str] = set()
        self.retries = _choose_retries(Random(f"retries {seed}"), self.wanted)

    @property
    def are_waiting(self) -> bool:
        return bool(self.retries) or len(self.answered) < len(self.wanted)

    def look(self, runs: Mapping[str, Run]) -> None:
        """Wants the retries of the runs that have ended."""
        for source in [name for name in self.retries if name in runs and runs[name].is_settled]:
            again, named = self.retries.pop(source)
            number = len(self.wanted)
            plan = replace(runs[source].plan, run=f"r{source[1:]}", retry_of=source, title=str(again))
            asked = RequestRun(plan, (), f"id{number}", f"digest{number}", number + 1)
            self.wanted.append(replace(asked, kept=keep(runs[source], again, named)))

    def ask(self, runs: Mapping[str, Run], *, troubled: bool) -> list[Request]:
        return [*self._ask(troubled=troubled), *self.people.ask(runs, troubled=troubled)]

    def _ask(self, *, troubled: bool) -> list[Request]:
        request = self.rng.choice(self.wanted)
        chance = self.rng.random()
        if request.request_id not in self.answered or chance < 0.1:
            return [request]
        if troubled and chance < 0.15:
            return [replace(request, request_digest="other")]
        if troubled and chance < 0.18:
            run = request.plan.run
            return [RequestCancel(run, "enough", f"cancel {run}", "cancel")] * self.rng.randint(1, 2)
        return []

    async def submit(self, engine: Engine, request: Request, runs: Mapping[str, Run]) -> None:
        """Asks the engine, and judges its answer."""
        try:
            accepted = await engine.submit(request)
        except (StorageError, ShuttingDownError, NoCapacityError):
            return  # asked again
        except RequestIdReusedError as error:
            if request.request_digest != "other":
                raise Violation(f"{request.request_id} was answered with {error}") from error
        except StatusError as error:
            if isinstance(request, HostRequest):
                self.operator.hear_refusal(request, error)
            elif not isinstance(error, PreconditionError):
                raise
            elif isinstance(request, RequestResolve):
                self.people.hear_refusal(request, error, runs[request.run])
            elif isinstance(request, RequestRun):
                raise Violation(f"{request.request_id} was answered with {error}") from error
        else:
            self._hear(request, accepted)

    def _hear(self, request: Request, accepted: Accepted) -> None:
        if request.request_digest == "other":
            raise Violation("a request id was used again with another body, and accepted")
        if isinstance(request, HostRequest):
            self.operator.hear(request)
        if isinstance(request, RequestResolve):
            self.people.hear(request)
        if isinstance(request, RequestRun):
            if accepted.run != request.plan.run:
                raise Violation(f"{request.request_id} was answered with {accepted}")
            self.answered.add(request.request_id)


def keep(source: Run, again: Again, named: str) -> tuple[KeptResult, ...]:
    """Returns the results that the retry of a run keeps. Its texts are only named: no worker reads them."""
    chosen = choose_kept(source, again, named if again is Again.STEP else "")
    results = (step.reused or replace(describe(source.id, step), text="text") for step in chosen.steps)
    return (*results, *chosen.waiting)


def _choose_retries(rng: Random, wanted: Sequence[RequestRun]) -> dict[str, tuple[Again, str]]:
    if rng.random() > RETRYING_WORLDS:
        return {}
    return {
        one.plan.run: (rng.choice((Again.FAILED, Again.FAILED, Again.STEP, Again.ALL)), rng.choice(one.plan.steps).id)
        for one in wanted
    }
