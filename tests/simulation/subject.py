"""What is simulated: the parts of both cores that decide. Mutants and twins are other sets of parts (see `mutants`, `twins`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agenthost.core.delivery import Delivery
from agenthost.core.fence import Admission, admit
from agenthost.core.numbering import Numbering
from agenthost.core.reception import Claim, Tombstone, attaches
from conductor.clock import Past, Reading, continue_time
from conductor.core.advance import advance
from conductor.core.commands import Command, Decision
from conductor.core.conductor_state import ConductorState, Limits
from conductor.core.conversation import Conversation
from conductor.core.inputs import Input
from conductor.core.recover import recover, restore
from conductor.core.run import Run
from conductor.mailbox import Mailbox
from tests.simulation.conductor import Conductor
from tests.simulation.daemon import Daemon
from tests.simulation.watchers import Watcher


def restore_with(runs: Mapping[str, Run], cursors: Mapping[str, int], now: float, limits: Limits) -> ConductorState:
    return restore(runs, cursors, now, limits=limits)


@dataclass(frozen=True, slots=True)
class Subject:
    """The first group is the product's own code; the last three play its shells."""

    advance: Callable[[ConductorState, Sequence[Input], float], tuple[Decision, ConductorState]] = advance
    restore: Callable[[Mapping[str, Run], Mapping[str, int], float, Limits], ConductorState] = restore_with
    recover: Callable[[ConductorState], tuple[Command, ...]] = recover
    continue_time: Callable[[Reading, Past], float] = continue_time
    conversation: type[Conversation] = Conversation
    mailbox: type[Mailbox] = Mailbox
    admit: Callable[[int, int], Admission] = admit
    attaches: Callable[[str, Claim, Claim | None, Tombstone | None], bool] = attaches
    delivery: type[Delivery] = Delivery
    numbering: type[Numbering] = Numbering
    conductor: type[Conductor] = Conductor
    daemon: type[Daemon] = Daemon
    watcher: type[Watcher] = Watcher
