"""Where an attempt runs, and what a step waits for that has no place. Pure functions of hosts and their free slots."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from conductor.core.conductor_state import Host
from conductor.core.step import Wait


@dataclass(frozen=True, slots=True)
class Placement:
    """A host and an agent there, with the reason as a sentence."""

    host: str
    agent: str
    reason: str
    instance: str = ""


def choose_host(
    hosts: Mapping[str, Host], free: Mapping[str, int], agents: Sequence[str], avoid: Collection[str] = ()
) -> Placement | None:
    """Gives the best place, None where there is none. `free` holds free slots of usable hosts; `avoid` is taken last.

    The first agent that has a place is taken. Of the hosts that offer it, the one with the greatest free share: so
    work spreads, and a small host is not filled before a large one is half used. Ties go by name.
    """
    for agent in agents:
        offering = [host for host in _usable(hosts) if agent in host.agents]
        open_hosts = [host for host in offering if free.get(host.name, 0) > 0]
        if open_hosts:
            best = min(open_hosts, key=lambda host: (host.name in avoid, -free[host.name] / host.slots, host.name))
            reason = _give_reason(best, free[best.name], agent, len(offering))
            return Placement(best.name, agent, reason, best.instance)
    return None


def explain_wait(hosts: Mapping[str, Host], agents: Sequence[str]) -> Wait:
    """Says what a step waits for that has no place now. The text changes only when hosts do."""
    names = " or ".join(agents)
    usable = _usable(hosts)
    if not usable:
        draining = any(host.connected and host.draining for host in hosts.values())
        return Wait("host", "Every connected host is draining." if draining else "No host is connected.")
    offering = [host.name for host in usable if not host.agents.isdisjoint(agents)]
    if not offering:
        return Wait("agent", f"No connected host offers {names}.")
    where = f"host {offering[0]}" if len(offering) == 1 else f"the {len(offering)} hosts"
    return Wait("slot", f"Every slot of {where} that can run {names} is taken.")


def _usable(hosts: Mapping[str, Host]) -> list[Host]:
    return [host for host in hosts.values() if host.connected and not host.draining and host.slots > 0]


def _give_reason(host: Host, free: int, agent: str, offering: int) -> str:
    if offering == 1:
        return f"{host.name} is the only host that offers {agent}; {free} of {host.slots} slots were free."
    return (
        f"{host.name} had the most room of {offering} hosts that offer {agent}: {free} of {host.slots} slots were free."
    )
