"""A conductor that is killed while it fetches a repository leaves nothing behind, and the same request makes its run later."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc
from tests.kit.git_server import Handler, git_server, line, only, says
from tests.kit.repositories import UserRepository
from tests.kit.services import running_pair
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(60)]


@pytest.mark.long
def test_a_conductor_killed_in_a_fetch_leaves_nothing_and_makes_the_run_once(tmp_path: Path) -> None:
    """Keeps J5."""
    UserRepository.make(tmp_path / "served" / "app")
    goes_on = threading.Event()

    def stalling(handler: Handler) -> bool:
        says(handler, line(b"packfile\n") + line(b"\x01PACK"))
        handler.wfile.flush()
        return goes_on.wait(30)

    def packs() -> list[Path]:
        return list((tmp_path / "conductor" / "fetched").glob("*/*.pack"))

    with git_server(tmp_path / "served", tmp_path) as server:
        (tmp_path / "conductor.toml").write_text(f'[fetch]\nca = "{server.ca}"\nhosts = ["127.0.0.1"]\n')
        asked = pb.CreateRunRequest(
            flow="flows/survey", workspace=pb.Workspace(url=server.url("app/.git")), request_id=str(uuid.uuid4())
        )
        with running_pair(tmp_path, hosts=(), extra=("--config", str(tmp_path / "conductor.toml"))) as pair:
            server.hostile = only(b"fetch", stalling)
            with pair.channel() as channel, ThreadPoolExecutor(1) as threads:
                stub = run_service_pb2_grpc.RunServiceStub(channel)
                first = threads.submit(stub.CreateRun, asked, timeout=30)
                wait_until(lambda: bool(packs()))
                pair.conductor.kill()
                with pytest.raises(grpc.RpcError):
                    first.result()
            assert packs()
            goes_on.set()
            server.hostile = None
            pair.conductor.start()
            pair.wait_until_ready()
            assert not packs()
            with pair.channel() as channel:
                stub = run_service_pb2_grpc.RunServiceStub(channel)
                runs = {stub.CreateRun(asked, timeout=30).name for _ in range(2)}
                listed = stub.ListRuns(pb.ListRunsRequest(), timeout=10).runs

    assert [run.name for run in listed] == list(runs)
