"""One attempt as the simulated conductor attends to it: its mailbox, its conversation, its stream."""

from typing import TYPE_CHECKING

from conductor.core.conversation import ExecutionCommand
from tests.simulation.agenda import Bell

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.world import World


class Attendance:
    """One attempt's streams."""

    def __init__(self, world: "World", attempt: str, machine: "Machine") -> None:
        self.attempt = attempt
        self.machine = machine
        self.conversation = world.subject.conversation(attempt)
        self.mailbox = world.subject.mailbox()
        self.bell = Bell()

    def put(self, command: ExecutionCommand) -> None:
        self.mailbox.put(command)
        self.bell.ring()
