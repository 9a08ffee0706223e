"""The inputs of a request as a table: the question, the band as a word, and what the flow asks for."""

from typing import Any

from google.protobuf import json_format

from conductor.api.messages.runs import BANDS
from conductor.errors import InvalidRequestError, Violation
from conductor.flows.checks.inputs import AUTO
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb

_WORDS = {value: word for word, value in BANDS.items()} | {flow_pb.BAND_AUTO: AUTO}
# Some clients name a value of an enumeration as the protocol does, also where a word is asked for.
_NAMES = {flow_pb.Band.Name(value): word for value, word in _WORDS.items()}


def read_inputs(request: pb.CreateRunRequest) -> dict[str, Any]:
    """Returns the inputs; raises InvalidRequestError where JSON cannot hold them, or two bands are named."""
    try:
        given: dict[str, Any] = json_format.MessageToDict(request.inputs)
    except ValueError as error:
        text = "hold a number that JSON does not have: NaN or infinite"
        raise InvalidRequestError(Violation("inputs", text)) from error
    word = given.get("band")
    if isinstance(word, str):
        given["band"] = word = _NAMES.get(word, word)
    if request.band == flow_pb.BAND_UNSPECIFIED:
        return given
    band = _WORDS.get(request.band)
    if band is None:
        raise InvalidRequestError(Violation("band", f"{request.band} is no value of the enumeration"))
    if word not in (None, "", band):
        text = f"is BAND_{band.upper()}, but inputs.band is '{str(word)[:100]}'; give one of them"
        raise InvalidRequestError(Violation("band", text))
    return {**given, "band": band}
