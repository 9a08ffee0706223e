"""Lists the settings of a control group that bounds one attempt. Pure: `sandbox.cgroups` finds the place, the shim makes it.

Only a group bounds memory: a limit per process counts neither shared mappings nor files in memory, and an agent may have many
processes. Swap counts as memory, because it is the host's too. Where a group's processes can be killed as one, they are.
Only a group bounds the share of the processor: an agent may have many processes, and the kernel may give each session a share.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agenthost.core.sandbox.policy import Resources

OUTER_PROCESSES = 8  # bubblewrap's own two, and room while they start
SHARES, WEIGHT = 335, 33  # of 1024 and of 100, which each process or group beside it has: as one process at niceness 5
TCP_DIVISOR = 4  # version 1 counts the buffers of TCP apart from the memory: a quarter of it


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


def settings(version: Version, resources: Resources, more: Collection[str] = ()) -> Sequence[Setting]:
    """Returns all settings of a group in order: in version 1, memory before memory and swap together.

    `more` are the controllers with a hierarchy that a place has beyond those of `controllers`.
    """
    memory, processes = str(resources.memory_bytes), str(resources.processes + OUTER_PROCESSES)
    if version is Version.V1:
        share = (Setting("cpu", "cpu.shares", str(SHARES), needed=False),) if "cpu" in more else ()
        return (
            Setting("memory", "memory.limit_in_bytes", memory),
            Setting("memory", "memory.memsw.limit_in_bytes", memory, needed=False),
            Setting(
                "memory", "memory.kmem.tcp.limit_in_bytes", str(resources.memory_bytes // TCP_DIVISOR), needed=False
            ),
            Setting("pids", "pids.max", processes),
            *share,
        )
    return (
        Setting("", "memory.max", memory),
        Setting("", "memory.swap.max", "0", needed=False),
        Setting("", "memory.oom.group", "1", needed=False),
        Setting("", "pids.max", processes),
        Setting("", "cpu.weight", str(WEIGHT), needed=False),
    )
