"""An operator looks after a conductor whose runs are in PostgreSQL, and the server is restarted under it. Keeps I1, I3, I6, K2."""

import time
import uuid
from pathlib import Path

import grpc
import psycopg
import pytest

from conductor.cli.main import main
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import CreateRunRequest, GetRunRequest, Run
from tests.kit import flows
from tests.kit.databases import Databases
from tests.kit.services import Pair, running_pair

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(120)]


def create(stub: run_service_pb2_grpc.RunServiceStub, asked: CreateRunRequest, deadline: float) -> str:
    """Asks again as a client does: who finds the connection lost is told so, and the conductor leads again a moment later."""
    while True:
        try:
            name: str = stub.CreateRun(asked, timeout=30).name
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return name


def settled(pair: Pair, *steps: str) -> Run:
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        workspace = pair.folder / "w"
        asked = flows.request(workspace, *(flows.fold(step, "hello") for step in steps), request_id=str(uuid.uuid4()))
        deadline = time.monotonic() + 30
        run = create(stub, asked, deadline)
        while (found := stub.GetRun(GetRunRequest(name=run), timeout=30)).state != Run.STATE_SUCCEEDED:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found


def test_a_conductor_on_postgresql_is_looked_after_and_outlives_its_server(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = databases.take()
    with running_pair(tmp_path, hosts=(), extra=("--store", database)) as pair:
        monkeypatch.setenv("CONDUCTOR_ADDRESS", pair.address)
        flows.plain_workspace(tmp_path / "w")
        first = settled(pair, "a")

        assert main(["doctor"]) == 1  # the server of tests has no fsync, and there is no host
        doctor = capsys.readouterr().out
        assert "1 run, every row can be read" in doctor
        assert "fsync is off" in doctor
        assert "active in its PostgreSQL database, epoch 1" in doctor
        assert main(["backup", str(tmp_path / "b.tar")]) == 1
        assert "pg_dump" in capsys.readouterr().err
        assert main(["prune", "--max-bytes", "1B", "--dry-run"]) == 0
        assert first.name.removeprefix("runs/") in capsys.readouterr().out

        with psycopg.connect(database, autocommit=True) as connection:  # as a restart of the server does
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}".encode())  # noqa: S608
        pair.wait_until_ready()
        second = settled(pair, "a", "b")
        assert main(["show", first.name]) == 0
        assert main(["prune", "--max-bytes", "1B", "--yes"]) == 0
    databases.give_back(database)

    assert len(second.steps) == 2
