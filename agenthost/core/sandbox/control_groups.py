"""Lists the settings of a control group that bounds one attempt. Pure: `sandbox.cgroups` finds the place, the shim makes it.

Only a group bounds memory: a limit per process counts neither shared mappings nor files in memory, and an agent may have many
processes. Swap counts as memory, because it is the host's too. Where a group's processes can be killed as one, they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agenthost.core.sandbox.policy import Resources

OUTER_PROCESSES = 8  # bubblewrap's own two, and room while they start


class Version(StrEnum):
    """The kernel's two versions of control groups."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value for a file of a group. `needed`: without it the group is no bound; others are not on every kernel."""

    controller: str
    file: str
    value: str
    needed: bool = True


def controllers(version: Version) -> tuple[str, ...]:
    """Returns the controllers that have a hierarchy of their own."""
    return ("memory", "pids") if version is Version.V1 else ("",)


def settings(version: Version, resources: Resources) -> Sequence[Setting]:
    """Returns all settings of a group in order: in version 1, memory before memory and swap together."""
    memory, processes = str(resources.memory_bytes), str(resources.processes + OUTER_PROCESSES)
    if version is Version.V1:
        return (
            Setting("memory", "memory.limit_in_bytes", memory),
            Setting("memory", "memory.memsw.limit_in_bytes", memory, needed=False),
            Setting("pids", "pids.max", processes),
        )
    return (
        Setting("", "memory.max", memory),
        Setting("", "memory.swap.max", "0", needed=False),
        Setting("", "memory.oom.group", "1", needed=False),
        Setting("", "pids.max", processes),
    )
