"""Writes a line for each agent: whether it is installed, the release that was tested, what it offers, and what confines it.

Also the table of docs/agents.md, which `agenthost agents list --markdown` prints.
"""

from collections.abc import Iterable, Mapping

from agenthost.agent_specs import BUILT_IN, Agent, tried
from agenthost.core.admission.agent_spec import AgentSpec
from agenthost.core.admission.releases import is_tested
from agenthost.core.models.endpoint import Api
from agenthost.packages.prefix import TO_INSTALL, missing
from agenthost.sandbox.analyzers import TO_HAVE_ANALYZERS
from servicekit.printing.cells import cells, padded

SHOWN_FILES = 5
HEADINGS = ("AGENT", "INSTALLED", "TESTED", "MODEL", "TRIAL", "FEATURES")


def listing(agents: Mapping[str, Agent]) -> list[str]:
    """Returns a row for each agent, sorted by name, and below it what confines it."""
    known = [tried(agents[name]) for name in sorted(agents)]
    heading, *rows = _aligned([HEADINGS, *(_row(agent) for agent in known)])
    told = (line for agent, row in zip(known, rows, strict=True) for line in (row, *_confinement(agent)))
    to_install = [agent.name for agent in known if agent.is_packaged and missing(agent.name)]
    lacking = any(TO_HAVE_ANALYZERS in agent.unavailable_reason for agent in known)
    last = ["to have one more:  agenthost agents install NAME"] if to_install else []
    last += [f"to have the analyzers:  {TO_HAVE_ANALYZERS}"] if lacking else []
    return [heading, *told, *([""] if last else []), *last]


def _confinement(agent: Agent) -> list[str]:
    if agent.spec is None:
        return []
    text = f"the sandbox; {agent.spec.enforcement}" if agent.spec.enforcement else "the sandbox"
    return [f"    {text}"]


def table(agents: Mapping[str, Agent]) -> str:
    """Returns the table of docs/agents.md: the agents that can be installed, from their specs."""
    specs = [agents[name].spec for name in sorted(agents) if agents[name].is_packaged]
    rows = [_markdown("agent", "release", "what it is", "driven by", "needs"), "|---|---|---|---|---|"]
    for spec in specs:
        if spec is not None:
            driven = f"bridge `{spec.bridge.protocol}`" if spec.bridge else f"dialect `{spec.dialect}`"
            rows.append(_markdown(f"`{spec.name}`", spec.version, spec.description, driven, _needs(spec)))
    return "\n".join(rows)


def table_of_analyzers(agents: Mapping[str, Agent]) -> str:
    """Returns the table of docs/agents.md with the analyzers that ship, from their specs."""
    shipped = [agents[name] for name in sorted(agents) if agents[name].source.parent == BUILT_IN]
    rows = [_markdown("agent", "what it is", "files", "what it is kept from"), "|---|---|---|---|"]
    for spec in (agent.spec for agent in shipped):
        if spec is not None and spec.analyzer is not None:
            shown = [
                *(f"`{name}`" for name in spec.analyzer.files[:SHOWN_FILES]),
                *(["…"] if spec.analyzer.files[SHOWN_FILES:] else []),
            ]
            files = ", ".join(shown) or "all"
            rows.append(_markdown(f"`{spec.name}`", spec.description, files, spec.enforcement))
    return "\n".join(rows)


def _markdown(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _needs(spec: AgentSpec) -> str:
    """Returns the table that a host's configuration must have for an agent, as far as its spec tells."""
    settings = [f'api = "{spec.model}"'] if spec.model in set(Api) else []
    more = f" with {' and '.join(f'`{setting}`' for setting in settings)}" if settings else ""
    return f"`[models.{spec.model}]`{more}"


def _row(agent: Agent) -> tuple[str, ...]:
    if agent.spec is None:
        return (agent.name, f"cannot be read: {agent.unavailable_reason}", "", "", "", "")
    spec = agent.spec
    model = f"[models.{spec.model}]" if spec.model else "none"
    return (
        agent.name,
        _installed(agent, spec),
        spec.tested or spec.version,
        model,
        agent.trial.outcome if agent.trial else "none",
        ", ".join(spec.offers),
    )


def _installed(agent: Agent, spec: AgentSpec) -> str:
    if agent.is_packaged:
        lacking = missing(agent.name)
        return "no" if lacking.startswith(TO_INSTALL) else lacking or f"yes, {agent.version}"
    if agent.source.parent == BUILT_IN and spec.analyzer is None:
        return "built in"
    if spec.analyzer is not None and TO_HAVE_ANALYZERS in agent.unavailable_reason:
        return "no"
    if not agent.available:
        return f"no: {agent.unavailable_reason}"
    untested = "" if is_tested(spec.tested, agent.version) else ", not tested"
    return f"yes, {agent.version}{untested}" if agent.version else "yes"


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Returns the rows in columns; a sentence in place of a row's columns does not widen them."""
    table = list(rows)
    full = [row for row in table if any(row[2:])]
    widths = [max(cells(row[column]) for row in full) for column in range(len(HEADINGS))]
    return ["  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
