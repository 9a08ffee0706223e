"""Limits the entries of a flow's lists, before anything else looks at them.

Most rules compare an entry with all others, so a list of thousands would keep a worker busy until its time limit.
"""

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from conductor.v1 import flow_service_pb2

MAX_STEPS = 200
MAX_AGENTS = 16
MAX_CONTRACTS = 64
MAX_PARAMETERS = 32
MAX_LABELS = 32
MAX_BAND_RULES = 20
MAX_OUTPUTS = 32

_FLOW, _STEP, _AGENT, _FOREACH, _LOOP, _GATE, _FACTS, _PANEL, _COMMAND = (
    message.DESCRIPTOR.fields_by_name
    for message in (
        flow_service_pb2.Flow,
        flow_service_pb2.Flow.Step,
        flow_service_pb2.AgentWork,
        flow_service_pb2.ForeachWork,
        flow_service_pb2.LoopWork,
        flow_service_pb2.GateWork,
        flow_service_pb2.FactsWork,
        flow_service_pb2.PanelWork,
        flow_service_pb2.CommandWork,
    )
)
# The other lists of a flow exist in answers only.
_MOST = {
    _FLOW["steps"]: MAX_STEPS,
    _FOREACH["steps"]: MAX_STEPS,
    _LOOP["steps"]: MAX_STEPS,
    _FLOW["bands"]: len(flow_service_pb2.Band.values()) - 2,  # without the unspecified one, and AUTO
    _FLOW["band_rules"]: MAX_BAND_RULES,
    _FLOW["outputs"]: MAX_OUTPUTS,
    _STEP["needs"]: MAX_STEPS,
    _AGENT["agents"]: MAX_AGENTS,
    _PANEL["agents"]: MAX_AGENTS,
    _PANEL["contracts"]: MAX_CONTRACTS,
    _PANEL["parameters"]: MAX_PARAMETERS,
    _AGENT["contracts"]: MAX_CONTRACTS,
    _AGENT["parameters"]: MAX_PARAMETERS,
    _AGENT["labels"]: MAX_LABELS,
    _COMMAND["parameters"]: MAX_PARAMETERS,
    _COMMAND["labels"]: MAX_LABELS,
    _FACTS["scans"]: len(flow_service_pb2.FactsWork.Scan.values()) - 1,
    _GATE["decisions"]: len(flow_service_pb2.GateWork.Decision.values()) - 1,
}


def most_entries(field: FieldDescriptor) -> int:
    """Returns the largest number of entries of a field; 0 where it has no limit of its own."""
    return _MOST.get(field, 0)


def excess(field: FieldDescriptor, count: int) -> str:
    """Returns the problem of so many entries in a field; empty where there is none."""
    most = _MOST.get(field, count)
    return f"has at most {most} entries, this has {count}" if count > most else ""


def excesses(message: Message, where: str = "") -> Iterator[tuple[str, str]]:
    """Yields the lists of a flow that are too long, each with its problem, and looks into the others."""
    for field, value in message.ListFields():
        name = f"{where}{field.name}"
        if field.is_repeated and (text := excess(field, len(value))):
            yield name, text
        elif _is_part_of_flow(field):
            parts = [(f"{name}[{index}].", part) for index, part in enumerate(value)] if field.is_repeated else ()
            for inner, part in parts or [(f"{name}.", value)]:
                yield from excesses(part, inner)


def _is_part_of_flow(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.file.package == "conductor.v1" and not kind.GetOptions().map_entry
