"""The bundle of a run: its flow, personas and contracts as they were at launch, as one canonical JSON text.

Workers read the bundle only, so that editing a file during a run changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

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

    def step(self, step: str) -> flow_service_pb2.Flow.Step:
        """Returns the step with this id, also one inside another step."""
        return find_step(self.flow.steps, step)


def write_bundle(flow: flow_service_pb2.Flow, texts: Texts) -> bytes:
    """Returns the bundle's bytes: equal content gives equal bytes."""
    return canonical_json(
        {
            "format": FORMAT,
            "flow": json_format.MessageToDict(flow, preserving_proto_field_name=True),
            "personas": dict(texts.personas),
            "contracts": dict(texts.contracts),
        }
    )


def read_bundle(data: bytes) -> Bundle:
    """Returns the bundle in these bytes."""
    values = json.loads(data)
    flow = json_format.ParseDict(values["flow"], flow_service_pb2.Flow())
    return Bundle(flow, Texts(values["personas"], values["contracts"]))


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Returns JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
