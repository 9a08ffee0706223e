"""What a simulated daemon holds of an attempt, and of the stream that has it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agenthost.errors import StatusError, StreamSupersededError
from tests.simulation.agenda import Bell
from tests.simulation.network import Call

if TYPE_CHECKING:
    from agenthost.core.admission.admission import Claim
    from agenthost.core.ending import Ending
    from agenthost.core.output.delivery import Delivery
    from conductor.core.model.events import StartSpec
    from tests.simulation.disk import Folder
    from tests.simulation.shim import Shim


class Gone(Exception):  # noqa: N818 — the client is: there is nobody to tell
    """Writing failed."""


@dataclass(eq=False)
class Attachment:
    """A stream's hold on an execution."""

    call: Call
    is_superseded: bool = False
    is_heard: bool = True
    is_released: bool = False
    refusal: StatusError | None = None
    released: Bell = field(default_factory=Bell)

    def check(self) -> None:
        """Ends the stream where something else than its own end has come."""
        if self.refusal is not None:
            raise self.refusal
        if self.is_superseded:
            raise StreamSupersededError
        if self.call.is_broken:
            raise Gone


class Execution:
    """An attempt as its daemon knows it."""

    def __init__(self, claim: "Claim", start: "StartSpec", delivery: "Delivery") -> None:
        self.claim = claim
        self.id = start.execution
        self.delivery = delivery
        self.bell = Bell()
        self.stream: Attachment | None = None
        self.folder: Folder | None = None
        self.shim: Shim | None = None
        self.ending: Ending | None = None
        self.is_cancelled = False
        self.is_decided = False
        self.refusal: StatusError | None = None
