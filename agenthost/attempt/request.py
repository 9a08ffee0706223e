"""Holds a Start as it came and as it was accepted, and derives the shim's Launch from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agenthost.agent_specs import Agent
from agenthost.attempt.launch import Launch
from agenthost.core.admission.admission import Claim
from agenthost.core.admission.agent_spec import AgentSpec, PromptDelivery
from agenthost.core.admission.order import Order
from agenthost.core.output.prompt_line import prompt_line
from agenthost.errors import AgentUnavailableError
from agenthost.snapshots.store import SnapshotPaths


@dataclass(frozen=True, slots=True)
class Request:
    """A Start as it came, serialized and read."""

    conductor: str
    order: Order
    digest: str
    serialized: bytes


@dataclass(frozen=True, slots=True)
class AcceptedRequest:
    """An accepted Start: its conductor, its order, and the digest that a repeated Start must have."""

    conductor: str
    order: Order
    digest: str
    agent: Agent
    folder: Path
    adopted: bool = False

    @property
    def claim(self) -> Claim:
        """Returns what decides which Start or Resume may attach."""
        return Claim(self.conductor, self.digest)


def _hidden(agent: str, names: Sequence[str], tree: Path) -> tuple[tuple[str, bool], ...]:
    """Returns those of the names that the snapshot has; raises AgentUnavailableError for a link, which cannot be covered."""
    there = [name for name in names if (tree / name).is_symlink() or (tree / name).exists()]
    for name in there:
        if (tree / name).is_symlink():
            raise AgentUnavailableError(
                f"agent '{agent}' must not see '{name}' of this snapshot, and that is a link, which cannot be covered"
            )
    return tuple((name, (tree / name).is_dir()) for name in there)


def first_prompt(spec: AgentSpec, prompt: str) -> bytes:
    """Returns the first prompt in the form that the agent reads: all that an agent with turns gets on stdin is lines of JSON."""
    is_line = spec.has_turns and spec.prompt is PromptDelivery.STDIN
    return (prompt_line(spec.dialect, prompt) if is_line else prompt).encode()


def launch_of_agent(agent: Agent, parameters: Mapping[str, str], prompt: str) -> Launch:
    """Returns all that the shim must know of an agent. What the attempt and its snapshot add is left to the caller."""
    spec = agent.usable()
    return Launch(
        execution="",
        argv=agent.argv(parameters),
        tree=Path(),
        install=agent.install,
        own_paths=agent.own_paths,
        mounts=agent.mounts,
        pins=agent.pins,
        remarks=agent.remarks,
        files=agent.files(parameters),
        environment=agent.environment(parameters),
        model=spec.model,
        prompt=first_prompt(spec, prompt),
        prompt_is_file=spec.prompt is PromptDelivery.FILE,
        keeps_stdin=spec.takes_input,
        resources=agent.resources,
    )


def launch_of(accepted: AcceptedRequest, paths: SnapshotPaths, fingerprint: str) -> Launch:
    """Returns what the shim must know of the order, the agent and the snapshot."""
    agent, order, limits = accepted.agent, accepted.order, accepted.order.granted
    launch = launch_of_agent(agent, order.parameters, order.prompt)
    return replace(
        launch,
        execution=order.execution,
        tree=paths.tree,
        held=paths.folder,
        fingerprint=fingerprint,
        history=paths.history,
        hidden=_hidden(agent.name, agent.usable().hides, paths.tree),
        keeps_stdin=launch.keeps_stdin or order.has_turns,
        turns=order.turns,
        limits=limits,
        resources=replace(launch.resources, memory_bytes=limits.memory_bytes),
    )
