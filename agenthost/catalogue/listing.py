"""Writes a line for each agent: whether it is installed, the release that was tested, what it offers, and what confines it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from agenthost.agent_specs import BUILT_IN, Agent
from agenthost.packages.prefix import missing
from agenthost.packages.trials import last_trial

# Those that need a bridge which does not ship yet.
PLANNED: Mapping[str, str] = {
    "codex": "not yet: it needs a bridge for its app-server",
    "pi": "not yet: it needs a bridge for its rpc mode",
}
HEADINGS = ("AGENT", "INSTALLED", "TESTED WITH", "MODEL", "FEATURES", "LAST TRIAL", "CONFINEMENT")


def listing(agents: Mapping[str, Agent]) -> str:
    """Returns the table, sorted by name."""
    rows = {name: _row(agent) for name, agent in agents.items()}
    rows |= {name: (name, why, "", "", "", "", "") for name, why in PLANNED.items() if name not in rows}
    return _aligned([HEADINGS, *(rows[name] for name in sorted(rows))])


def _row(agent: Agent) -> tuple[str, ...]:
    if agent.spec is None:
        return (agent.name, f"cannot be read: {agent.unavailable_reason}", "", "", "", "", "")
    spec = agent.spec
    model = f"[models.{spec.model}]" if spec.model else "none"
    return (
        agent.name,
        _installed(agent),
        spec.version,
        model,
        ", ".join(spec.features),
        _tried(agent),
        f"the sandbox; {spec.enforcement}" if spec.enforcement else "the sandbox",
    )


def _tried(agent: Agent) -> str:
    trial = last_trial(agent.name, agent.source)
    if trial is None:
        return "none"
    day = datetime.fromtimestamp(trial.time_ns / 1e9, UTC).date()
    return f"{'held' if trial.has_held else 'broke out'} {day}"


def _installed(agent: Agent) -> str:
    if agent.is_packaged:
        return missing(agent.name) or f"yes, {agent.version}"
    if agent.source.parent == BUILT_IN:
        return "built in"
    return "yes" if agent.available else f"no: {agent.unavailable_reason}"


def _aligned(rows: Iterable[tuple[str, ...]]) -> str:
    """Returns the rows in columns; a sentence in place of a row's columns does not widen them."""
    table = list(rows)
    full = [row for row in table if any(row[2:])]
    widths = [max(len(row[column]) for row in full) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )
