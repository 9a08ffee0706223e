"""The typed output of a step, as a person reads it."""

import json

from google.protobuf import json_format

from conductor.cli.commands.show import shown_output
from conductor.v1.run_service_pb2 import Step


def test_whole_numbers_are_shown_as_they_were_written() -> None:
    written = {"count": 3, "share": 0.5, "lines": [1, 20]}
    step = json_format.ParseDict({"output": written}, Step())

    assert json.loads(shown_output(step), parse_float=str) == {"count": 3, "share": "0.5", "lines": [1, 20]}
