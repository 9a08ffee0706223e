"""What a run keeps of its flow: the flow, its personas and its contracts as they were at launch, as one canonical JSON text.

Every worker reads this and nothing else, so that editing a file in mid-run changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from conductor.flows.library.library import Texts
from conductor.v1 import flow_service_pb2

FORMAT = 1
MAX_BUNDLE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, read."""

    flow: flow_service_pb2.Flow
    texts: Texts

    def step(self, step: str) -> flow_service_pb2.Flow.Step:
        """The step with this id."""
        return next(candidate for candidate in self.flow.steps if candidate.id == step)


def write_bundle(flow: flow_service_pb2.Flow, texts: Texts) -> bytes:
    """The bundle's bytes: the same for the same content."""
    return canonical_json(
        {
            "format": FORMAT,
            "flow": json_format.MessageToDict(flow, preserving_proto_field_name=True),
            "personas": dict(texts.personas),
            "contracts": dict(texts.contracts),
        }
    )


def read_bundle(data: bytes) -> Bundle:
    """The bundle in these bytes."""
    values = json.loads(data)
    flow = json_format.ParseDict(values["flow"], flow_service_pb2.Flow())
    return Bundle(flow, Texts(values["personas"], values["contracts"]))


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
