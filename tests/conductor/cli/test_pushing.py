"""The command line's side of a push: what it withholds, what it tells, and how it goes on after a cut. Keeps J5."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from conductor.cli.connection import Connection
from conductor.cli.pushing import delivery, sending
from conductor.cli.pushing.cache import PACK, cache_of
from conductor.cli.pushing.push import push_workspace
from conductor.cli.text.failure import CommandError
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, running_conductor
from tests.kit.repositories import UserRepository, git, snapshot_content

pytestmark = pytest.mark.processes

NOISE = random.Random(7).randbytes(30_000)
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n"


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_conductor(tmp_path) as running:
        yield running


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UserRepository:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(delivery, "PAUSE_SECONDS", 0.01)
    return UserRepository.make(tmp_path / "project")


async def push(it: Running, user: UserRepository, **fields: Any) -> pb.Workspace:
    takes_secrets = fields.pop("takes_secrets", False)

    def work() -> pb.Workspace:
        with grpc.insecure_channel(it.target) as channel:
            workspace = pb.Workspace(path=str(user.folder), **fields)
            return push_workspace(Connection(channel), workspace, takes_secrets=takes_secrets)

    return await asyncio.to_thread(work)


def content(tmp_path: Path, snapshot: str) -> dict[bytes, tuple[str, bytes]]:
    (store,) = (path for path in (tmp_path / "data" / "pushed").iterdir() if path.is_dir())
    return snapshot_content(store, snapshot)


async def test_secrets_stay_here_and_are_named(
    it: Running, user: UserRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user.write("config/settings.py", "TOKEN = ''\n")
    user.write(".env.local", "committed before\n")
    head = user.commit("second")
    user.write("config/settings.py", "TOKEN = 'ghp_R4nd0mCh4r4ct3rsTh4tL00kR34l12345'\n")
    user.write(".env", "PASSWORD=1\n")
    user.write("deploy.pem", KEY)
    user.write("notes.txt", "x" * 100)
    user.write("src/app.py", "print('changed')\n")
    pushed = await push(it, user)
    told = capsys.readouterr().err
    held = content(tmp_path, pushed.snapshot)

    assert held.keys() == {b"README.md", b"src/app.py", b"config/settings.py", b".env.local", b"notes.txt"}
    assert held[b"config/settings.py"][1] == b"TOKEN = ''\n"
    assert held[b"src/app.py"][1] == b"print('changed')\n"
    assert f"1 uncommitted file (17 bytes) and 1 untracked file (100 bytes), beside commit {head[:12]}" in told
    assert "withholds 3 files that look like secrets" in told
    assert ".env  (its name)" in told
    assert "deploy.pem  (a private key in it)" in told
    assert "config/settings.py  (github-token in it)" in told
    assert "sends 1 committed file with the name of a secret" in told
    assert ".env.local" in told.partition("committed file")[2]
    everything = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert git(user.folder, "hash-object", "deploy.pem").strip() not in everything


async def test_secrets_are_sent_where_the_user_says_so(it: Running, user: UserRepository, tmp_path: Path) -> None:
    user.write(".env", "PASSWORD=1\n")
    pushed = await push(it, user, takes_secrets=True)

    assert content(tmp_path, pushed.snapshot)[b".env"][1] == b"PASSWORD=1\n"


@pytest.mark.long
async def test_the_snapshot_is_the_one_that_the_conductor_would_pin(it: Running, user: UserRepository) -> None:
    user.write("new.txt", "new\n")
    for fields in ({}, {"scope": pb.Workspace.SCOPE_UNCOMMITTED}, {"mode": pb.Workspace.MODE_COMMIT}):
        flow = {"inline": pb.CreateRunRequest().inline}
        flow["inline"].name = "flows/test"
        flow["inline"].steps.add(id="look").agent.prompt = "look"
        flow["inline"].steps[0].agent.agents.append("scripted")
        own = await it.runs.CreateRun(
            pb.CreateRunRequest(workspace=pb.Workspace(path=str(user.folder), **fields), **flow)
        )
        sent = await it.runs.CreateRun(pb.CreateRunRequest(workspace=await push(it, user, **fields), **flow))

        assert sent.snapshot == own.snapshot


@pytest.mark.parametrize("inside", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_the_base_of_a_comparison_is_sent_too(it: Running, user: UserRepository, *, inside: bool) -> None:
    user.git("branch", "trunk")
    user.write("src/new.py", "new\n")
    user.write("other.txt", "other\n")
    user.commit("second")
    folder = UserRepository(user.folder / "src") if inside else user
    fields = {"scope": pb.Workspace.SCOPE_DIFF, "base_revision": "trunk"}
    flow = pb.CreateRunRequest().inline
    flow.name = "flows/test"
    flow.steps.add(id="look").agent.agents.append("scripted")
    flow.steps[0].agent.prompt = "look"
    own = await it.runs.CreateRun(
        pb.CreateRunRequest(workspace=pb.Workspace(path=str(folder.folder), **fields), inline=flow)
    )
    sent = await it.runs.CreateRun(pb.CreateRunRequest(workspace=await push(it, folder, **fields), inline=flow))

    assert sent.snapshot == own.snapshot
    assert sent.snapshot.base_commit


class Cuts:
    """Cuts the connection after every so many chunks that arrived."""

    def __init__(self, incoming: Path, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
        self.sent = 0
        self._incoming = incoming
        self._left = times
        self._real = sending.chunks_of
        monkeypatch.setattr(sending, "CHUNK_BYTES", 500)
        monkeypatch.setattr(sending, "chunks_of", self._chunks)
        # An iterator of requests that fails is the cut that gRPC can be given here.
        monkeypatch.setattr(delivery, "PASSING", frozenset({"UNKNOWN"}))

    def _chunks(self, pack: Any, start: int, progress: Any) -> Any:
        for count, request in enumerate(self._real(pack, start, progress)):
            if count == 10 and self._left:
                self._left -= 1
                self._wait_for(start + 5000)
                raise ConnectionError("cut")
            self.sent += len(request.chunk)
            yield request

    def _wait_for(self, size: int) -> None:
        while sum(path.stat().st_size for path in self._incoming.rglob("incoming/*.pack")) < size:
            time.sleep(0.005)


@pytest.mark.long
async def test_a_push_that_is_cut_again_and_again_sends_no_byte_twice(
    it: Running,
    user: UserRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    user.write("noise", NOISE)
    user.commit("noise")
    size = len(git(user.folder, "pack-objects", "--revs", "--stdout", "-q", stdin=b"HEAD\n"))
    cuts = Cuts(tmp_path / "data", monkeypatch, times=4)
    pushed = await push(it, user)

    assert pushed.snapshot == user.head
    assert size <= cuts.sent < size + 200  # git's compression may differ a little
    assert capsys.readouterr().err.count("the push was cut") == 4


async def test_another_command_finishes_the_push_of_a_killed_one(
    it: Running,
    user: UserRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The tree may have changed meanwhile: only the difference is new."""
    user.write("noise", NOISE)
    user.commit("noise")
    cuts = Cuts(tmp_path / "data", monkeypatch, times=1)
    monkeypatch.setattr(delivery, "PATIENCE_SECONDS", -1)
    with pytest.raises(grpc.RpcError):
        await push(it, user)
    user.write("src/app.py", "print('changed meanwhile')\n")
    pushed = await push(it, user)

    assert content(tmp_path, pushed.snapshot)[b"src/app.py"][1] == b"print('changed meanwhile')\n"
    assert cuts.sent < len(NOISE) + 2000
    assert "goes on with the push that was cut" in capsys.readouterr().err
    with cache_of(user.folder) as folder:
        assert not (folder / PACK).exists()


async def test_a_workspace_that_cannot_be_pinned_is_told_before_anything_is_sent(
    it: Running, user: UserRepository
) -> None:
    with pytest.raises(CommandError, match="names no commit of this repository"):
        await push(it, user, scope=pb.Workspace.SCOPE_DIFF, base_revision="nothing")
