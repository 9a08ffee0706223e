"""Failed calls as a person reads them: what is wrong, where, and the next thing to type, each once. Keeps K2 K5."""

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from conductor.cli.connection import connected
from conductor.cli.text.failure import CommandError, from_rpc


class Failed(grpc.RpcError):
    """A failed call with the details that a server sends."""

    def __init__(self, code: grpc.StatusCode, message: str, *details: Message) -> None:
        status = status_pb2.Status(code=code.value[0], message=message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        self._code, self._message, self._status = code, message, status

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._message

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


def info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="conductor", metadata=metadata)


def test_an_address_without_a_conductor_tells_how_to_start_a_conductor() -> None:
    shown = from_rpc(Failed(grpc.StatusCode.UNAVAILABLE, "connect failed"), "127.0.0.1:1")

    assert shown.code == 69
    assert "conductor serve" in shown.shown()


def test_a_conductor_of_another_machine_is_started_there_and_the_kernel_says_why_it_was_not_reached() -> None:
    words = (
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:7410: connect: No route to host (113)"
    )
    shown = from_rpc(Failed(grpc.StatusCode.UNAVAILABLE, words), "192.0.2.1:7410").shown()

    assert "no conductor answers at 192.0.2.1:7410: no route to host" in shown
    assert "start it on that machine:  conductor serve --listen 192.0.2.1:7410" in shown


def test_a_server_without_the_methods_of_a_conductor_is_another_service() -> None:
    shown = from_rpc(Failed(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"), "127.0.0.1:7420")

    assert shown.code == 69
    assert "what listens at 127.0.0.1:7420 is no conductor of this version; an agent host, perhaps" in shown.shown()
    assert "name the conductor's address:  conductor --address" in shown.shown()


@pytest.mark.parametrize("address", ["nonsense", "unix:", ":7410", "127.0.0.1:0", "127.0.0.1:80000", "::1:7410", ""])
def test_what_is_no_address_is_wrong_usage_and_not_dialled(address: str) -> None:
    with pytest.raises(CommandError, match="give ") as told, connected(address):
        pass

    assert told.value.code == 2


@pytest.mark.parametrize(
    "address", ["127.0.0.1:7410", "[::1]:7410", "conductor.example:7410", "unix:c.sock", "unix:///a%2Fb?c#d"]
)
def test_what_is_an_address_is_taken_as_one(address: str) -> None:
    with connected(address) as connection:
        assert connection.channel is not None


@pytest.mark.parametrize(
    ("code", "message", "seconds"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", 5),
        (grpc.StatusCode.UNAVAILABLE, "connection attempt timed out before receiving SETTINGS frame", 10),
    ],
)
def test_a_process_that_holds_the_address_without_answering_is_to_be_looked_at(
    code: grpc.StatusCode, message: str, seconds: int
) -> None:
    shown = from_rpc(Failed(code, message), "127.0.0.1:7410", 5.0)

    assert shown.code == 69
    assert f"something listens at 127.0.0.1:7410 and does not answer within {seconds} s" in shown.shown()
    assert "ss -ltnp 'sport = :7410'" in shown.shown()
    assert "conductor serve" not in shown.shown()
    assert "ss -lxp src /run/c.sock" in from_rpc(Failed(code, message), "unix:/run/c.sock").shown()


@pytest.mark.parametrize(
    ("reason", "following"),
    [
        ("RUN_NOT_FOUND", "conductor runs"),
        ("FLOW_NOT_FOUND", "conductor flows"),
        ("HOST_NOT_FOUND", "conductor hosts"),
        ("RUN_NOT_RUNNING", "conductor show RUN"),
    ],
)
def test_a_known_reason_names_the_next_command(reason: str, following: str) -> None:
    shown = from_rpc(Failed(grpc.StatusCode.NOT_FOUND, "there is none", info(reason)), "x").shown()

    assert f"({reason})" in shown
    assert following in shown


def test_a_conductor_that_ends_with_its_command_is_named_no_command_that_would_ask_it() -> None:
    detail = info("FLOW_NOT_FOUND", hint="there are flows/a")
    shown = from_rpc(Failed(grpc.StatusCode.NOT_FOUND, "there is no flow 'x'", detail), "x", is_passing=True).shown()

    assert shown == "conductor: there is no flow 'x' (FLOW_NOT_FOUND)\n  there are flows/a"


def test_what_a_hint_says_is_not_said_again() -> None:
    detail = info("FLOW_NOT_FOUND", hint="there are flows/a, flows/b", known="flows/a, flows/b")
    shown = from_rpc(Failed(grpc.StatusCode.NOT_FOUND, "there is no flow 'x'", detail), "x").shown()

    assert shown.count("flows/a, flows/b") == 1


def test_problems_of_a_flow_read_as_those_of_validate() -> None:
    bad = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field="steps[0].id", description="a.yaml:3: is empty"),
            error_details_pb2.BadRequest.FieldViolation(field="page_size", description="is 501"),
        ]
    )
    shown = from_rpc(Failed(grpc.StatusCode.INVALID_ARGUMENT, "bad", info("FLOW_INVALID"), bad), "x").shown()  # type: ignore[arg-type]

    assert "  a.yaml:3: steps[0].id: is empty\n" in shown + "\n"
    assert "  page_size: is 501\n" in shown + "\n"


def test_what_a_server_sends_cannot_act_on_the_terminal() -> None:
    shown = from_rpc(Failed(grpc.StatusCode.INTERNAL, "a\x1b[31mb"), "x").shown()

    assert "\x1b" not in shown


def test_a_mistake_that_is_repeated_does_not_push_away_what_to_do() -> None:
    bad = error_details_pb2.BadRequest()
    for number in range(40):
        bad.field_violations.add(field=f"inline.steps[{number}].agents", description="no host offers it")
    told = from_rpc(Failed(grpc.StatusCode.INVALID_ARGUMENT, "40 problems", bad, info("X", hint="do this")), "x")

    assert len(told.lines) == 5
    assert told.lines[-2:] == ("… and 37 more like these", "do this")


def test_what_the_message_lists_already_is_not_listed_again() -> None:
    detail = info("AGENT_UNKNOWN", known="reader, survey", most="7")
    shown = from_rpc(
        Failed(grpc.StatusCode.FAILED_PRECONDITION, "no agent; there are reader, survey", detail), "x"
    ).shown()

    assert shown == "conductor: no agent; there are reader, survey (AGENT_UNKNOWN)\n  most: 7"
