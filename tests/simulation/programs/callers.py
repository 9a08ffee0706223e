"""Simulated callers: each wants one run, asks until it is answered, and now and then again, wrongly, or for the run's end."""

from dataclasses import replace
from random import Random

from conductor.core.model.commands import Accepted
from conductor.core.model.inputs import RequestCancel, RequestRun
from conductor.engine.inbox import Request
from conductor.engine.loop import Engine
from conductor.errors import NoCapacityError, PreconditionError, RequestIdReusedError, ShuttingDownError, StorageError
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.plans import make_plan


class Callers:
    def __init__(self, rng: Random, seed: int) -> None:
        self.rng = rng
        self.wanted = [
            RequestRun(make_plan(rng, seed * 10 + number), (), f"id{number}", f"digest{number}", reply=number + 1)
            for number in range(rng.choice((1, 1, 2, 3)))
        ]
        self.answered: set[str] = set()

    @property
    def are_waiting(self) -> bool:
        return len(self.answered) < len(self.wanted)

    def ask(self, *, troubled: bool) -> list[Request]:
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

    async def submit(self, engine: Engine, request: Request) -> None:
        """Asks the engine, and judges its answer."""
        try:
            accepted = await engine.submit(request)
        except (StorageError, ShuttingDownError, NoCapacityError):
            return  # asked again
        except RequestIdReusedError as error:
            if request.request_digest != "other":
                raise Violation(f"{request.request_id} was answered with {error}") from error
        except PreconditionError as error:
            if not isinstance(request, RequestCancel):
                raise Violation(f"{request.request_id} was answered with {error}") from error
        else:
            self._hear(request, accepted)

    def _hear(self, request: Request, accepted: Accepted) -> None:
        if request.request_digest == "other":
            raise Violation("a request id was used again with another body, and accepted")
        if isinstance(request, RequestRun):
            if accepted.run != request.plan.run:
                raise Violation(f"{request.request_id} was answered with {accepted}")
            self.answered.add(request.request_id)
