"""Whatever details a server sends with its refusal, its client reads a refusal: an error here would end the client."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from servicekit.statuses import DETAILS_KEY, read_refusal

KINDS = ("ErrorInfo", "BadRequest", "RetryInfo", "Unheard")


class FailedCall(grpc.RpcError):  # type: ignore[misc]
    """A failed call, as gRPC shows it."""

    def __init__(self, details: bytes) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "the text of the call"

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return ((DETAILS_KEY, self._details),)


@given(st.binary(max_size=60))
def test_details_that_are_no_status_are_passed_over(details: bytes) -> None:
    assert read_refusal(FailedCall(details)).code == "UNAVAILABLE"


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=40)), max_size=4))
def test_details_of_any_content_make_a_refusal(parts: list[tuple[str, bytes]]) -> None:
    packed = [AnyMessage(type_url=f"type.googleapis.com/google.rpc.{kind}", value=value) for kind, value in parts]
    status = status_pb2.Status(code=14, message="m", details=packed)

    assert read_refusal(FailedCall(status.SerializeToString())).message == "m"


@pytest.mark.parametrize(
    ("seconds", "nanos", "delay"),
    [(2**62, 0, 2.0**62), (-(2**62), 0, 0.0), (1, 500_000_000, 1.5), (0, 2**31 - 1, 2.147483647)],
)
def test_a_delay_of_any_size_is_read(seconds: int, nanos: int, delay: float) -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.seconds, retry.retry_delay.nanos = seconds, nanos
    status = status_pb2.Status(code=14, message="m", details=[AnyMessage()])
    status.details[0].Pack(retry)

    assert read_refusal(FailedCall(status.SerializeToString())).retry_after_seconds == delay
