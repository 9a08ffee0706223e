"""Every kind of step, by the name of its field in `Flow.Step`."""

from collections.abc import Mapping

from conductor.flows.kinds import agent, command, facts, flow, fold, foreach, gate, loop, panel
from conductor.flows.kinds.kind import Holder, Kind

KINDS: Mapping[str, Kind] = {
    "agent": agent,
    "fold": fold,
    "foreach": foreach,
    "loop": loop,
    "gate": gate,
    "flow": flow,
    "facts": facts,
    "panel": panel,
    "command": command,
}
# The kinds whose steps hold other steps (see `language.nesting`).
HOLDERS: Mapping[str, Holder] = {
    "foreach": foreach,
    "loop": loop,
}
