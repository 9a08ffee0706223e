"""An attempt's requests to its model, each a span. They are kept as a blob, and bounded: a host may tell anything."""

import json
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from conductor.core.model.truncation import MOST_WORD, cut_text

MAX_REQUESTS = 256
MAX_SECONDS = 30 * 86_400.0
MAX_TOKENS = 2**53
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request. `offset_seconds` is the time from the agent's start to it, `seconds` until the end of its answer.

    `status` is 0 where no answer came, `trouble` empty where a whole one did.
    """

    span: str
    offset_seconds: float
    seconds: float
    status: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    trouble: str = ""


def write_requests(requests: Iterable[ModelRequest]) -> str:
    """Returns the requests as JSON, one a line; empty where there are none. One without a valid span is left out."""
    valid = (one for one in requests if _SPAN.fullmatch(one.span))
    return "".join(f"{json.dumps(astuple(_bounded(one)))}\n" for one in valid)


def read_requests(data: bytes) -> tuple[ModelRequest, ...]:
    """Returns the requests that `write_requests` wrote."""
    return tuple(ModelRequest(*json.loads(line)) for line in data.splitlines())


def _bounded(request: ModelRequest) -> ModelRequest:
    return ModelRequest(
        request.span,
        min(max(request.offset_seconds, 0.0), MAX_SECONDS),
        min(max(request.seconds, 0.0), MAX_SECONDS),
        min(max(request.status, 0), 999),
        min(max(request.input_tokens, 0), MAX_TOKENS),
        min(max(request.output_tokens, 0), MAX_TOKENS),
        cut_text(request.model, MOST_WORD),
        cut_text(request.trouble, MOST_WORD),
    )
