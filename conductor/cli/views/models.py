"""Says in lines what hosts told of their models and agents."""

from collections.abc import Iterable, Sequence

from conductor.cli.views.trials import trial_lines, trial_outcome
from conductor.v1 import pool_service_pb2
from servicekit.printing.terminal_text import column, one_line, printable

Host = pool_service_pb2.Host
SHOWN_MODELS = 8
NAME_WIDTH = 80
TO_INSTALL = "install it: "  # so begins what a host says of an agent that it could install


def model_lines(host: Host) -> list[str]:
    """Returns a line for each model endpoint of a host: what it serves, or why it does not answer."""
    return [model_line(model) for model in host.models]


def model_line(model: pool_service_pb2.HostModel) -> str:
    """Returns `✔ model default       http://127.0.0.1:8080  llama.cpp  small, 4096 tokens, 2 slots`."""
    glyph = "✔" if model.answers else "✘" if model.problem else "?"
    told = model_facts(model) if model.answers else one_line(model.problem, 200) or "it was not asked yet"
    parts = (f"    {glyph} model {column(model.name, 12)}", printable(model.url), printable(model.server), told)
    return "  ".join(part for part in parts if part)


def model_facts(model: pool_service_pb2.HostModel) -> str:
    """Returns `small, 4096 tokens, 2 slots`: the model that is asked for, those that are listed, and what is known."""
    listed = [each.name for each in model.listed]
    asked = model.model or model.usual_model
    shown = _some([asked] if asked else listed)
    # Some servers answer to other names, too: this is a remark, not a fault. Ollama's `qwen3` is its `qwen3:latest`.
    is_known = {model.model, f"{model.model}:latest"} & set(listed) if model.model else len(listed) == 1
    if asked and listed and not is_known:
        shown += f" (it lists {_some(listed)})"
    window = f"{model.window} tokens" if model.window else "its context is not known"
    slots = f"{model.slots} {'slot' if model.slots == 1 else 'slots'}" if model.slots else ""
    return ", ".join(part for part in (shown or "it lists no models", window, slots) if part)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_MODELS} more" if len(names) > SHOWN_MODELS else ""
    return ", ".join(one_line(name, NAME_WIDTH) for name in names[:SHOWN_MODELS]) + more


def choice_line(model: pool_service_pb2.HostModel, remedy: str) -> str:
    """Returns which of several listed models is asked, and how to name another; empty where there is no choice."""
    if model.model or model.api != "openai" or not model.listed:
        return ""
    if not model.usual_model:
        return f"none of the models that {printable(model.url)} lists can chat, by their names; name one:  {remedy}"
    asks = f"agents ask {one_line(model.usual_model, NAME_WIDTH)}; to name another:  {remedy}"
    return asks if len(model.listed) > 1 else ""


def agent_glyph(agent: pool_service_pb2.HostAgent, host: Host) -> str:
    """Returns ✔ where an agent can work now, ✘ where it cannot or its model does not answer, ? where its host does not."""
    if host.state not in (Host.STATE_READY, Host.STATE_DRAINING):
        return "?"
    return "✔" if agent.available and not model_trouble(agent, host) else "✘"


def model_trouble(agent: pool_service_pb2.HostAgent, host: Host) -> str:
    """Returns `its model 'default' does not answer: …`; empty where it answers, was not asked yet, or is not needed."""
    model = _model_of(agent, host)
    if model is None or model.answers or not model.problem:
        return ""
    return f"its model '{printable(model.name)}' does not answer: {one_line(model.problem, 200)}"


def _model_of(agent: pool_service_pb2.HostAgent, host: Host) -> pool_service_pb2.HostModel | None:
    return next((each for each in host.models if each.name == agent.model), None)


def is_to_install(agent: pool_service_pb2.HostAgent) -> bool:
    """Returns whether nothing is wrong with an agent: it is only not installed."""
    return not agent.available and agent.unavailable_reason.startswith(TO_INSTALL)


def to_install_lines(agents: Iterable[pool_service_pb2.HostAgent]) -> list[str]:
    """Returns `○ not installed: claude, codex; to have one:  agenthost agents install NAME`, and a line for each other way."""
    names: dict[str, dict[str, None]] = {}
    for agent in agents:
        command = agent.unavailable_reason.removeprefix(TO_INSTALL).partition(", then ")[0]
        own = command.startswith("agenthost agents install")
        how = "to have one:  agenthost agents install NAME" if own else f"to have them:  {one_line(command, 100)}"
        names.setdefault(how, {})[printable(agent.name)] = None
    return [f"○ not installed: {', '.join(each)}; {how}" for how, each in sorted(names.items())]


def agents_over(hosts: Iterable[Host], only: str | None = None) -> list[str]:
    """Returns, for each agent of any host, a line with its name, and one for each host that has it; of one, its last trials too."""
    agents = [agent for host in hosts for agent in host.agents if only in {None, agent.name}]
    names = sorted({agent.name for agent in agents})
    installed = {agent.name for agent in agents if only is not None or not is_to_install(agent)}
    lines = [
        line for name in names if name in installed for line in _agent_over(name, hosts, with_trials=only is not None)
    ]
    absent = sorted((agent for agent in agents if agent.name not in installed), key=lambda agent: agent.name)
    return [*lines, *to_install_lines(absent)]


def _agent_over(name: str, hosts: Iterable[Host], *, with_trials: bool) -> Iterable[str]:
    found = [(host, agent) for host in hosts for agent in host.agents if agent.name == name]
    described = next((agent.description for _, agent in found if agent.description), "")
    yield f"{column(name, 12)}  {one_line(described, 200)}".rstrip()
    for host, agent in found:
        told = one_line(agent.unavailable_reason, 200)
        if agent.available:
            model = _model_of(agent, host)
            told = f"model {printable(model.name)}: {_told(model)}" if model else "needs no model"
        place = column(host.name.removeprefix("hosts/"), 12)
        trial = trial_outcome(agent) if agent.model else ""
        yield "  ".join(
            part for part in (f"    {agent_glyph(agent, host)} {place}", printable(agent.version), trial, told) if part
        )
        yield from trial_lines(agent) if with_trials else ()


def _told(model: pool_service_pb2.HostModel) -> str:
    return model_facts(model) if model.answers else one_line(model.problem, 200) or "it was not asked yet"
