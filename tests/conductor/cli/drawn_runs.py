"""Runs as a watcher is told of them, and the live view's picture of them."""

import io

from rich.console import Console

from conductor.cli.views.live import LiveView
from conductor.v1.run_service_pb2 import (
    Run,
    Step,
    Wait,
    WatchRunResponse,
)

BROKEN = "No connected host offers broken. beta has broken, but: description is required."


def step(name: str, state: "Step.State.ValueType", wait: str = "", **fields: object) -> Step:
    told = Step(name=f"runs/x/steps/{name}", state=state, **fields)  # type: ignore[arg-type]
    if wait:
        told.wait.CopyFrom(Wait(kind=Wait.KIND_AGENT, text=wait))
    return told


def run_of(*steps: Step) -> WatchRunResponse:
    return WatchRunResponse(run=Run(name="runs/x", flow="flows/look", state=Run.STATE_RUNNING, steps=steps))


def drawn(*messages: WatchRunResponse, width: int = 80, height: int = 24) -> str:
    """The last picture of the live view."""
    screen = io.StringIO()
    console = Console(file=screen, width=width, height=height, force_terminal=False)
    view = LiveView("stops it", console)
    for message in messages:
        view.show(message)
    screen.seek(0)
    screen.truncate()
    console.print(view._draw())
    return screen.getvalue()
