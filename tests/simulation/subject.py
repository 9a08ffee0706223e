"""What is simulated: the parts of both cores that decide. Mutants and twins are other sets of parts (see `mutants`, `twins`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agenthost.core.admission.admission import Claim, Tombstone, attaches
from agenthost.core.admission.fence import Admission, admit
from agenthost.core.output.delivery import Delivery
from agenthost.core.output.numbering import Numbering
from conductor.clock import Past, Reading, continue_time
from conductor.core.conversation import Conversation
from conductor.core.decide.advance import advance
from conductor.core.decide.recover import recover, restore
from conductor.core.model.commands import Command, Decision
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.core.model.inputs import Input
from conductor.core.model.run import Run
from conductor.hosts.mailbox import Mailbox
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
