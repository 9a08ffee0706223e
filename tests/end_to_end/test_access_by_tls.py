"""Who may do what at a conductor that serves by TLS, from outside: certificates with a role, tokens, neither. Keeps K3, K12."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conductor.cli.main import main
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc, server_service_pb2_grpc, workspace_service_pb2_grpc
from conductor.v1.server_service_pb2 import GetServerInfoRequest
from conductor.v1.workspace_service_pb2 import PushWorkspaceRequest
from servicekit.statuses import Refusal, read_refusal
from tests.kit.services import Pair
from tests.kit.tls_pair import client_bundle, running_tls_pair

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

RUN = f"runs/{'a' * 26}"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_tls_pair(tmp_path_factory.mktemp("access"), hosts=()) as running:
        client_bundle(running.folder, "vera", "viewer")
        yield running


class Shell:
    """Runs commands of the command line in this process: starting one takes longer than what is asked here."""

    def __init__(self, pair: Pair, captured: pytest.CaptureFixture[str]) -> None:
        self._pair, self._captured = pair, captured

    def __call__(self, *arguments: str, bundle: str = "") -> tuple[int, str, str]:
        named = ("--bundle", str(self._pair.folder / bundle)) if bundle else ()
        self._captured.readouterr()
        code = main(["--address", self._pair.address, *named, *arguments])
        return (code, *self._captured.readouterr())

    def make(self, name: str, role: str) -> str:
        code, told, _ = self("tokens", "create", name, "--role", role, bundle="admin")
        assert code == 0
        return told.strip()


@pytest.fixture
def shell(pair: Pair, capfd: pytest.CaptureFixture[str]) -> Shell:
    return Shell(pair, capfd)


def ca_of(pair: Pair) -> Path:
    return pair.folder / "conductor" / "tls" / "ca.pem"


def by_ca(pair: Pair) -> grpc.Channel:
    return grpc.secure_channel(pair.address, grpc.ssl_channel_credentials(ca_of(pair).read_bytes()))


def refusal_of(call: Callable[[], object]) -> Refusal:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return read_refusal(refused.value)


def test_a_certificate_has_its_role_and_a_token_that_of_its_maker(pair: Pair, shell: Shell) -> None:
    token = shell.make("cora", "operator")
    given = ("--tls-ca", str(ca_of(pair)), "--token", token)

    viewed = shell("runs", bundle="vera")
    refused = shell("cancel", RUN, bundle="vera")
    unknown = shell(*given, "cancel", RUN)
    both = shell("--token", token, "cancel", RUN, bundle="vera")

    assert viewed[0] == 0
    assert refused[0] == 77
    assert refused[2].splitlines() == [
        "conductor: CancelRun needs the role operator, and certificate:vera has the role viewer (ROLE_NOT_ALLOWED)",
        "  have one made with it:  conductor certs client NAME --role operator --out FILE",
    ]
    assert "(RUN_NOT_FOUND)" in unknown[2]
    assert "(RUN_NOT_FOUND)" in both[2]
    with by_ca(pair) as channel:
        server = server_service_pb2_grpc.ServerServiceStub(channel)
        info = server.GetServerInfo(GetServerInfoRequest(), metadata=bearer(token), timeout=10)
    assert (info.caller, info.caller_role) == ("token:cora", "operator")


def test_without_certificate_and_token_nothing_is_served_not_even_health(pair: Pair, shell: Shell) -> None:
    code, _, told = shell("--tls-ca", str(ca_of(pair)), "runs")
    with by_ca(pair) as channel:
        reflect = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        health = health_pb2_grpc.HealthStub(channel)
        runs = run_service_pb2_grpc.RunServiceStub(channel)
        refusals = [
            refusal_of(lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=10)),
            refusal_of(lambda: list(reflect(iter([b""]), timeout=10))),
            refusal_of(lambda: runs.ListRuns(pb.ListRunsRequest(), timeout=10)),
            refusal_of(lambda: list(runs.WatchRuns(pb.WatchRunsRequest(), timeout=10))),
        ]
        metadata = bearer(shell.make("probe", "viewer"))
        answer = health.Check(health_pb2.HealthCheckRequest(), metadata=metadata, timeout=10)

    assert code == 77
    assert told.startswith("conductor: the call brings no token and no client certificate (UNAUTHENTICATED)\n")
    assert {(one.code, one.reason) for one in refusals} == {("UNAUTHENTICATED", "UNAUTHENTICATED")}
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_stream_that_is_refused_is_told_why_while_it_sends(pair: Pair, shell: Shell) -> None:
    """gRPC may tell a client that still writes nothing but INTERNAL."""
    metadata = bearer(shell.make("sender", "viewer"))
    chunk = PushWorkspaceRequest(chunk=b"x" * 256 * 1024)
    with by_ca(pair) as channel:
        push = workspace_service_pb2_grpc.WorkspaceServiceStub(channel).PushWorkspace
        told = [refusal_of(lambda: list(push(iter([chunk] * 40), metadata=metadata, timeout=10))) for _ in range(30)]

    assert {(one.code, one.reason) for one in told} == {("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")}


def bearer(token: str) -> Any:
    return (("authorization", f"Bearer {token}"),)


@pytest.mark.long
def test_what_a_revoked_token_has_open_ends(pair: Pair, shell: Shell) -> None:
    token = shell.make("brief", "viewer")
    with by_ca(pair) as channel:
        watch = run_service_pb2_grpc.RunServiceStub(channel).WatchRuns(
            pb.WatchRunsRequest(resume_token="0"), metadata=bearer(token), timeout=60
        )
        next(watch)
        assert shell("tokens", "revoke", "brief", bundle="admin")[0] == 0
        refused = refusal_of(lambda: list(watch))

    assert (refused.code, refused.message) == ("UNAUTHENTICATED", "the token 'brief' was revoked")
