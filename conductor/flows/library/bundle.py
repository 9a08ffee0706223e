"""The bundle of a run: its flow, personas, contracts and tables of rules as they were at launch, as one canonical JSON text.

Workers read the bundle only, so that editing a file during a run changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf import json_format

from conductor.flows.facts import asked
from conductor.flows.language.nesting import find_step
from conductor.flows.library.library import Texts
from conductor.v1 import flow_service_pb2

FORMAT = 1
MAX_BUNDLE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """The content of a bundle."""

    flow: flow_service_pb2.Flow
    texts: Texts
    calls: Mapping[str, flow_service_pb2.Flow] = field(default_factory=dict)

    def called(self, name: str) -> "Bundle":
        """Returns the bundle of a sub-run: of a flow that this one calls, itself or through others."""
        return replace(self, flow=self.calls[name])

    def step(self, step: str) -> flow_service_pb2.Flow.Step:
        """Returns the step with this id, also one inside another step; a step of facts as one that asks its agent."""
        return asked(find_step(self.flow.steps, step))


def write_bundle(
    flow: flow_service_pb2.Flow, texts: Texts, calls: Mapping[str, flow_service_pb2.Flow] | None = None
) -> bytes:
    """Returns the bundle's bytes: equal content gives equal bytes. `calls` are the flows that it runs, by name."""
    values: dict[str, Any] = {
        "format": FORMAT,
        "flow": _as_json(flow),
        "personas": dict(texts.personas),
        "contracts": dict(texts.contracts),
    }
    if texts.rules:  # absent in bundles of flows without a table, which stay byte for byte the same
        values["rules"] = dict(texts.rules)
    if calls:
        values["calls"] = {name: _as_json(called) for name, called in calls.items()}
    return canonical_json(values)


def read_bundle(data: bytes) -> Bundle:
    """Returns the bundle in these bytes."""
    values = json.loads(data)
    calls = {name: _from_json(flow) for name, flow in values.get("calls", {}).items()}
    return Bundle(
        _from_json(values["flow"]), Texts(values["personas"], values["contracts"], values.get("rules", {})), calls
    )


def _as_json(flow: flow_service_pb2.Flow) -> dict[str, Any]:
    return json_format.MessageToDict(flow, preserving_proto_field_name=True)


def _from_json(value: dict[str, Any]) -> flow_service_pb2.Flow:
    return json_format.ParseDict(value, flow_service_pb2.Flow())


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Returns JSON with sorted keys and no spaces: equal values give equal bytes. Half a surrogate pair is a question mark."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
