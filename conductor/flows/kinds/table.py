"""Every kind of step, by the name of its field in `Flow.Step`."""

from collections.abc import Mapping

from conductor.flows.kinds import agent, fold
from conductor.flows.kinds.kind import Kind

KINDS: Mapping[str, Kind] = {
    "agent": agent,
    "fold": fold,
}
