"""Simulated callers: each wants one run, asks until it is answered, and now and then again, wrongly, or for the run's end."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from conductor.core.model.commands import Accepted, Rejected, Reply
from conductor.core.model.inputs import Input, RequestCancel, RequestRun
from conductor.engine.inbox import Request
from tests.simulation.memory_store import MemoryStore
from tests.simulation.plans import make_plan
from tests.simulation.violation import Violation

OTHER_BODY = 900  # who uses an id again with another body
CANCELS = 901  # who wants a run to end


class Callers:
    def __init__(self, rng: Random, seed: int) -> None:
        self.rng = rng
        self.wanted = [
            RequestRun(make_plan(rng, seed * 10 + number), (), f"id{number}", f"digest{number}", reply=number + 1)
            for number in range(rng.choice((1, 1, 2, 3)))
        ]
        self.answered: set[int] = set()

    @property
    def are_waiting(self) -> bool:
        return len(self.answered) < len(self.wanted)

    def ask(self, *, troubled: bool) -> list[Input]:
        request = self.rng.choice(self.wanted)
        chance = self.rng.random()
        if request.reply not in self.answered or chance < 0.1:
            return [request]
        if troubled and chance < 0.15:
            return [replace(request, request_digest="other", reply=OTHER_BODY)]
        if troubled and chance < 0.18:
            run = request.plan.run
            return [RequestCancel(run, "enough", f"cancel {run}", "cancel", reply=CANCELS)] * self.rng.randint(1, 2)
        return []

    def hear(self, reply: Reply) -> None:
        if reply.reply == OTHER_BODY and not isinstance(reply, Rejected):
            raise Violation("a request id was used again with another body, and accepted")
        for request in self.wanted:
            if request.reply == reply.reply:
                if isinstance(reply, Rejected) or reply.run != request.plan.run:
                    raise Violation(f"{request.request_id} was answered with {reply}")
                self.answered.add(request.reply)

    def ask_store(self, inputs: list[Input], store: MemoryStore, backlog: Iterable[Input]) -> list[Input]:
        """Answers what only the store knows, as the engine does; returns the rest, which is the core's.

        A request whose id is undecided waits in the engine; here its caller asks again.
        """
        rest: list[Input] = []
        undecided = {one.request_id for one in backlog if isinstance(one, Request)}
        for one in inputs:
            if not isinstance(one, Request):
                rest.append(one)
            elif (known := store.requests.get(one.request_id)) is None:
                if one.request_id not in undecided:
                    rest.append(one)
                undecided.add(one.request_id)
            elif known[0] == one.request_digest:
                self.hear(Accepted(one.reply, known[1], repeated=True))
            else:
                self.hear(Rejected(one.reply, "REQUEST_ID_REUSED", "it was used before"))
        return rest
