"""I1, I3: frames that a host of f9ac01c sent are understood by a conductor of today as they were, and the other way round."""

import tempfile
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from agenthost.v1 import execution_service_pb2 as pb
from tests.yesterday.archive import differences, recall
from tests.yesterday.replaying import ReplayingHost, replay

pytestmark = pytest.mark.processes

THEN: Mapping[str, Any] = recall(Path(__file__).parent / "f9ac01c" / "wire.json.xz")


async def test_whole_attempts_of_a_host_of_then_are_stored_as_they_were() -> None:
    """Keeps G2: texts and offsets of every channel, results, ends with their classes, confinements.

    The words in which the reason for a missing quote is told to people may change.
    """
    with tempfile.TemporaryDirectory(prefix="then-") as folder:
        read = await replay(Path(folder), ReplayingHost(THEN["frames"]))

    changed = [found for found in differences(THEN["read"], read) if not found.partition(":")[0].endswith("].reason")]
    assert changed == []


def test_requests_of_a_conductor_of_then_are_read_as_they_were() -> None:
    for kind, (sent, told) in THEN["requests"].items():
        request = pb.ExecuteRequest.FromString(b64decode(sent))

        assert request.WhichOneof("frame") == kind
        assert differences(told, MessageToDict(request)) == []
        assert b64encode(request.SerializeToString(deterministic=True)).decode() == sent
    assert THEN["requests"].keys() == {"start", "resume", "input", "cancel", "ack"}
