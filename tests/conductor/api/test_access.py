"""Who may call a real conductor, by token and over loopback, and what others are told. Keeps K12."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from conductor.api.access.failures import MOST_FAILURES
from conductor.cli.main import main
from conductor.core.access.tokens import make_token
from conductor.v1 import access_service_pb2 as pb
from conductor.v1 import run_service_pb2 as run_pb
from tests.conductor.running_conductor import Running, refusal, running_conductor
from tests.kit.services import free_port

pytestmark = pytest.mark.processes

ROLES = {"viewer": pb.ROLE_VIEWER, "operator": pb.ROLE_OPERATOR, "admin": pb.ROLE_ADMIN}
RUN = f"runs/{'a' * 26}"
UNKNOWN = make_token(bytes(32))


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_conductor(tmp_path, listen=f"127.0.0.1:{free_port()}") as running:
        yield running


async def make(it: Running, name: str, role: str, by: str = "") -> str:
    made = await it.access.CreateToken(pb.CreateTokenRequest(name=name, role=ROLES[role]), **bearer(by))
    return str(made.secret)


def bearer(token: str) -> dict[str, Any]:
    return {"metadata": (("authorization", f"Bearer {token}"),)} if token else {}


async def test_each_role_may_do_its_own_and_is_refused_the_rest_by_name(it: Running) -> None:
    admin = await make(it, "root", "admin")
    tokens = {role: await make(it, f"a-{role}", role, admin) for role in ROLES}
    calls: dict[str, tuple[Any, Any]] = {
        "viewer": (it.runs.ListRuns, run_pb.ListRunsRequest()),
        "operator": (it.runs.CancelRun, run_pb.CancelRunRequest(name=RUN)),
        "admin": (it.runs.DeleteRun, run_pb.DeleteRunRequest(name=RUN)),
    }
    ranks = list(ROLES)
    for role, token in tokens.items():
        for needed, (call, request) in calls.items():
            if ranks.index(role) >= ranks.index(needed):
                if needed == "viewer":
                    await call(request, **bearer(token))
                else:  # what is asked for is not there, which the handler says
                    assert (await refusal(call(request, **bearer(token)))).reason == "RUN_NOT_FOUND"
                continue
            told = await refusal(call(request, **bearer(token)))
            assert (told.code, told.reason) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
            assert dict(told.metadata).items() >= {"role": role, "needed": needed, "caller": f"token:a-{role}"}.items()


async def test_loopback_is_an_admin_until_there_are_tokens_and_then_a_viewer(it: Running) -> None:
    await it.access.ListTokens(pb.ListTokensRequest())
    admin = await make(it, "root", "admin")

    assert (await refusal(it.access.ListTokens(pb.ListTokensRequest()))).reason == "ROLE_NOT_ALLOWED"
    await it.runs.ListRuns(run_pb.ListRunsRequest())

    await it.access.RevokeToken(pb.RevokeTokenRequest(name="root"), **bearer(admin))
    await it.access.ListTokens(pb.ListTokensRequest())


async def test_a_wrong_token_and_a_revoked_one_are_refused_also_where_none_is_needed(it: Running) -> None:
    admin = await make(it, "root", "admin")
    revoked = await make(it, "old", "admin", admin)
    await it.access.RevokeToken(pb.RevokeTokenRequest(name="tokens/old"), **bearer(admin))

    told = {}
    mistyped = f"{admin[:-1]}{'a' if admin[-1] != 'a' else 'b'}"
    for what, header in {
        "unknown": f"Bearer {UNKNOWN}",
        "mistyped": f"Bearer {mistyped}",
        "basic": f"Basic {admin}",
        "empty": "",
        "revoked": f"bearer  {revoked}",
        "two": (f"Bearer {admin}", f"Bearer {admin}"),
    }.items():
        headers = (header,) if isinstance(header, str) else header
        call = it.runs.ListRuns(run_pb.ListRunsRequest(), metadata=[("authorization", each) for each in headers])
        told[what] = await refusal(call)

    assert {(one.code, one.reason) for one in told.values()} == {("UNAUTHENTICATED", "UNAUTHENTICATED")}
    assert "the token 'old' was revoked" in told.pop("revoked").message
    assert len({(one.message, one.hint) for one in told.values()}) == 1
    assert "cdr_" not in str(told)


async def test_tokens_are_listed_without_their_secrets_with_maker_and_last_use(it: Running) -> None:
    admin = await make(it, "root", "admin")
    secret = await make(it, "ci", "viewer", admin)
    assert (
        await refusal(it.access.CreateToken(pb.CreateTokenRequest(name="ci", role=pb.ROLE_ADMIN), **bearer(admin)))
    ).reason == "TOKEN_EXISTS"

    first = await it.access.ListTokens(pb.ListTokensRequest(page_size=1), **bearer(admin))
    rest = await it.access.ListTokens(pb.ListTokensRequest(page_token=first.next_page_token), **bearer(admin))
    root, ci = (*first.tokens, *rest.tokens)

    assert (root.name, root.created_by, ci.name, ci.created_by) == (
        "tokens/root",
        "loopback",
        "tokens/ci",
        "token:root",
    )
    assert root.HasField("last_use_time")
    assert not ci.HasField("last_use_time")
    assert secret not in str((root, ci))

    for _ in range(2):
        gone = await it.access.RevokeToken(pb.RevokeTokenRequest(name="ci"), **bearer(admin))
    assert gone.revoked_by == "token:root"
    assert await make(it, "ci", "operator", admin) != secret
    assert (
        await refusal(it.access.RevokeToken(pb.RevokeTokenRequest(name="none"), **bearer(admin)))
    ).reason == "TOKEN_NOT_FOUND"
    wrong = await refusal(it.access.CreateToken(pb.CreateTokenRequest(name="No Such!"), **bearer(admin)))
    assert {field for field, _ in wrong.violations} == {"name", "role"}


async def test_tokens_outlive_the_conductor_and_a_socket_stays_its_owners(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as running:
        token = await make(running, "ci", "viewer")
        await running.access.ListTokens(pb.ListTokensRequest())
    async with running_conductor(tmp_path) as running:
        refused = await refusal(running.access.ListTokens(pb.ListTokensRequest(), **bearer(token)))
        listed = await running.access.ListTokens(pb.ListTokensRequest())

    assert refused.reason == "ROLE_NOT_ALLOWED"
    assert [one.created_by for one in listed.tokens] == ["socket"]


async def test_the_failed_tokens_of_an_address_fill_no_log_and_lock_nobody_out(it: Running) -> None:
    admin = await make(it, "root", "admin")
    with capture_logs() as logs:
        told = [
            await refusal(it.runs.ListRuns(run_pb.ListRunsRequest(), **bearer(UNKNOWN)))
            for _ in range(MOST_FAILURES + 5)
        ]
        await it.runs.ListRuns(run_pb.ListRunsRequest(), **bearer(admin))

    assert [one.reason for one in told[-5:]] == ["TOO_MANY_FAILED_TOKENS"] * 5
    assert told[-1].retry_after_seconds is not None
    refused = [line for line in logs if line["event"] == "token_refused"]
    assert len(refused) == MOST_FAILURES
    assert "cdr_" not in str(logs)


SENTENCES = [
    (
        "viewer",
        ("cancel", RUN),
        "CancelRun needs the role operator, and token:viewer has the role viewer",
        "--role operator",
    ),
    ("unknown", ("runs",), "the token that the call brings is not valid here", "tokens create NAME --role ROLE"),
    ("revoked", ("runs",), "the token 'revoked' was revoked", "tokens create NAME --role ROLE"),
    (
        "none",
        ("tokens", "list"),
        "ListTokens needs the role admin, and loopback has the role viewer",
        "access.loopback_role",
    ),
]


async def test_the_command_line_says_each_refusal_in_one_sentence(
    it: Running, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps K12: a viewer's cancel is refused."""
    admin = await make(it, "root", "admin")
    tokens = {"viewer": await make(it, "viewer", "viewer", admin), "unknown": UNKNOWN, "none": ""}
    tokens["revoked"] = await make(it, "revoked", "admin", admin)
    await it.access.RevokeToken(pb.RevokeTokenRequest(name="revoked"), **bearer(admin))
    for token, command, sentence, hint in SENTENCES:
        monkeypatch.setenv("CONDUCTOR_TOKEN", tokens[token])
        code = await asyncio.to_thread(main, ["--address", it.target, *command])
        told = capfd.readouterr().err.splitlines()

        assert code == 77
        assert told[0].startswith(f"conductor: {sentence} (")
        assert hint in told[1]
        assert len(told) == 2
        assert "cdr_" not in "".join(told)


async def test_the_command_line_makes_lists_and_revokes_tokens(it: Running, capfd: pytest.CaptureFixture[str]) -> None:
    async def conductor(*arguments: str) -> str:
        assert await asyncio.to_thread(main, [*arguments, "--address", it.target]) == 0
        return capfd.readouterr().out

    secret = (await conductor("tokens", "create", "root", "--role", "admin")).split()[-1]  # the log is on stdout, too
    assert len(secret) == 53
    listed = await conductor("tokens", "list", "--token", secret)
    assert "✔ root" in listed
    assert "by loopback, used 0" in listed
    assert secret not in listed
    assert "✘ root" in await conductor("--token", secret, "tokens", "revoke", "root")


@pytest.mark.parametrize(("address", "said"), [("192.0.2.1:7410", "is not sent to 192.0.2.1:7410 without TLS")])
def test_a_token_is_not_sent_where_others_could_read_it(
    address: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDUCTOR_TOKEN", UNKNOWN)

    assert main(["--address", address, "runs"]) == 2
    assert "CONDUCTOR_TOKEN" not in os.environ  # of programs that a command starts
    told = capsys.readouterr().err
    assert said in told
    assert "cdr_" not in told
