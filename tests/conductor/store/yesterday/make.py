"""Makes the database that a later version must open: real runs of real services, small, and compressed.

    python -m tests.conductor.store.yesterday.make       writes version-N.db.gz beside this file

Run it once per schema version, before the version after it is begun; the file stays as it is from then on. In it are a run that
succeeded with findings and a report, one that failed, one that was cancelled, and one whose agent was talking when its
conductor was killed.
"""

import gzip
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from conductor.store.sqlite.upkeep.migration import SCHEMA_VERSION
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import CancelRunRequest, WatchRunRequest
from tests.kit import flows
from tests.kit.services import running_pair

HERE = Path(__file__).parent
PRATTLE = ("reason hm", "sleep 0.1", "say so", "sleep 0.1") * 10  # many small rows, which are packed together
REQUEST_ID = "0b5ab2f4-1111-4222-8333-444455556677"


def fill(folder: Path, *serve: str) -> None:
    """Runs a conductor, with these options more, until it holds all of it; then kills it."""
    workspace = flows.plain_workspace(folder / "w")
    (workspace / "work.py").write_text("import os\n\n\ndef work() -> None:\n    os.system('ls ' + input())  # TODO\n")
    with running_pair(folder, hosts=("alpha",), extra=serve) as pair, pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        risks = flows.scripted("risks", "finding high work.py 5 5 It runs what a user types")
        steps = (risks, flows.scripted("talk", "say grüße→ to all", *PRATTLE))
        survey = flows.request(workspace, *steps, labels={"team": "blue"}, request_id=REQUEST_ID)
        failing = flows.request(workspace, flows.scripted("fails", "say so far\n", "exit 3"))
        talking = flows.request(workspace, flows.scripted("talks", "say word ", "sleep 600"))
        for request in (survey, failing):
            run = stub.CreateRun(request, timeout=30).name
            [None for _ in stub.WatchRun(WatchRunRequest(name=run), timeout=60)]
        for is_cancelled in (True, False):
            run = stub.CreateRun(talking, timeout=30).name
            watching = stub.WatchRun(WatchRunRequest(name=run), timeout=60)
            next(told for told in watching if told.HasField("output"))
            if is_cancelled:
                stub.CancelRun(CancelRunRequest(name=run), timeout=30)
                [None for _ in watching]
        time.sleep(1.5)  # acknowledged, so that cursors and journal agree
        pair.conductor.kill()


def make(folder: Path) -> Path:
    fill(folder)
    return folder / "conductor" / "conductor.db"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = make(Path(name))
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, with what the log held
        connection.execute("VACUUM")
        connection.close()
        target = HERE / f"version-{SCHEMA_VERSION}.db.gz"
        target.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
