"""PlanRun: shows a run before it is made. Nothing is stored of it, but the workspace's snapshot for an hour."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from google.protobuf.struct_pb2 import Struct

from conductor.api.launching.roster import Asking, list_asking
from conductor.api.messages.json_values import struct
from conductor.api.messages.names import step_name
from conductor.api.messages.runs import run_message, wait_message
from conductor.api.run_creation import RunCreation
from conductor.clock import Clock
from conductor.core.folded.run import Run, apply
from conductor.core.folded.step import Step, Wait
from conductor.core.model.events.run_events import RunCreated
from conductor.core.model.inputs import Blob
from conductor.core.model.states import StepState
from conductor.core.placing.placement import Placement
from conductor.core.placing.preview import list_candidates, preview_places
from conductor.engine.seat import Seat
from conductor.errors import NotFoundError, StatusError
from conductor.evaluation.evaluator import Evaluator
from conductor.hosts.liveness import HostLink
from conductor.v1 import run_service_pb2 as pb
from servicekit.addresses import Address, AddressError

# Of all prompts in an answer: clients take 4 MiB.
MAX_PLANNED_BYTES = 2 * 1024 * 1024
CHARACTERS_PER_TOKEN = 4
PLANNED = "-"  # stands for the id of a run that is not made


class RunPlanning:
    """Shows runs before they are made."""

    def __init__(
        self,
        engine: Seat,
        creation: RunCreation,
        evaluator: Evaluator,
        links: Callable[[], Mapping[str, HostLink]],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._creation = creation
        self._evaluator = evaluator
        self._links = links
        self._clock = clock

    async def show(self, request: pb.PlanRunRequest) -> pb.PlanRunResponse:
        """Returns what CreateRun would do now."""
        plan, blobs = await self._creation.plan(request.run)
        run = apply(None, RunCreated(plan), self._clock.now())
        bundle = next(blob.data for blob in blobs if blob.digest == plan.bundle)
        asking = await asyncio.to_thread(list_asking, bundle, plan)
        steps = [Step(one.plan) for one in asking]
        places = preview_places(self._engine.state, steps, run.id, self._clock.now())
        shown = pb.PlanRunResponse(plan_hash=plan.plan_hash, run=_show_run(run, blobs))
        room = MAX_PLANNED_BYTES
        for one, place in zip(asking, places, strict=True):
            planned = await self._step(run, one, blobs, place, room)
            room -= len(planned.prompt.encode())
            shown.steps.append(planned)
        shown.requests = sum(one.name in run.steps for one in asking)
        shown.most_requests = sum(one.times for one in asking) if all(one.times for one in asking) else 0
        shown.prompt_tokens = sum(step.prompt_tokens for step in shown.steps)
        shown.destinations.extend(self._destinations(steps))
        shown.leaves_machine = any(one.leaves_machine for one in shown.destinations)
        return shown

    async def _step(
        self, run: Run, asking: Asking, blobs: Sequence[Blob], place: Placement | Wait, room: int
    ) -> pb.PlannedStep:
        planned = pb.PlannedStep(
            name=step_name(PLANNED, asking.name),
            times=asking.times,
            placement=_placement(place) if isinstance(place, Placement) else None,
            wait=wait_message(place) if isinstance(place, Wait) else None,
        )
        if not _is_known(run, asking):
            planned.problem = "the prompt is built when the steps that it needs have ended"
            return planned
        prompt, planned.problem = await self._prompt(run, asking.plan.id, blobs)
        if prompt is not None:
            planned.prompt_tokens = -(-len(prompt) // CHARACTERS_PER_TOKEN)
            if len(prompt.encode()) <= room:
                planned.prompt = prompt
            else:
                planned.problem = f"the prompt is left out: all prompts together hold at most {MAX_PLANNED_BYTES} bytes"
        return planned

    async def _prompt(self, run: Run, step: str, blobs: Sequence[Blob]) -> tuple[str | None, str]:
        try:
            prompt, problem = await self._evaluator.preview_prompt(run, blobs, step)
        except NotFoundError:
            return None, "the prompt is left out: the flow's texts are too large to be kept without a run"
        except StatusError as error:
            return None, str(error)
        return (None, problem) if problem else (prompt.decode("utf-8", "replace"), "")

    def _destinations(self, asking: Sequence[Step]) -> list[pb.Destination]:
        """Returns where agents of the steps run, and where their models are, each once."""
        found: dict[tuple[str, str], pb.Destination] = {}
        for name, agents in list_candidates(self._engine.state, asking).items():
            view = self._links()[name].view
            machine = _machine(view.address)
            is_far = not _is_near(view.address)
            found[name, ""] = pb.Destination(host=name, machine=machine, leaves_machine=is_far)
            used = {agent.model for agent in view.host.agents if agent.name in agents} if view.host is not None else ()
            for model in view.host.models if view.host is not None else ():
                if model.name in used:
                    found[name, model.name] = _endpoint(name, model.name, model.url, machine, is_far=is_far)
        return list(found.values())


def _show_run(run: Run, blobs: Sequence[Blob]) -> pb.Run:
    inputs = next((struct(blob.data) for blob in blobs if blob.digest == run.plan.inputs), Struct())
    message = run_message(replace(run, plan=replace(run.plan, run=PLANNED)), 0, inputs)
    message.ClearField("name")
    message.ClearField("create_time")
    for step in message.steps:
        step.ClearField("end_time")
    return message


def _is_known(run: Run, asking: Asking) -> bool:
    """Returns whether the prompt of a step holds nothing of other steps that run, and of no item or call."""
    if asking.name not in run.steps:
        return False
    return all(run.steps[need].state is StepState.EXCLUDED for need in asking.plan.needs)


def _placement(place: Placement) -> pb.Placement:
    return pb.Placement(
        host=place.host, agent=place.agent, model=place.seat.model, pool=place.seat.pool, reason=place.reason
    )


def _endpoint(host: str, model: str, url: str, machine: str, *, is_far: bool) -> pb.Destination:
    """Returns the place of a model's endpoint. An address of the host itself is on the host's machine."""
    named = urlsplit(url).hostname or ""
    is_there = _is_near(f"[{named}]:1" if ":" in named else f"{named}:1")
    return pb.Destination(
        host=host, model=model, machine=machine if is_there else named, leaves_machine=is_far or not is_there
    )


def _machine(address: str) -> str:
    return "this machine" if _is_near(address) else address.rpartition(":")[0].strip("[]")


def _is_near(address: str) -> bool:
    """Returns whether an address is on this machine."""
    try:
        Address.parse(address)
    except AddressError:
        return False
    return True
