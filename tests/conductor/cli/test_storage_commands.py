"""What an operator does about a conductor's storage, from outside and while it works. Keeps B12 I6 K2 K6."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conductor.cli.main import main
from tests.services import Service, free_port, wait_for

FLOW = "title: Folds\nsteps:\n  - {id: said, fold: {template: hello}}\n"

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def conductor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The commands, in this process; their conductor has the usual data folder, no hosts, and a process of its own."""
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("CONDUCTOR_ADDRESS", address)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    arguments = ["conductor.cli", "serve", "--listen", address, "--data", str(tmp_path / "conductor")]
    service = Service(arguments, tmp_path / "log")

    def call(*given: str) -> Done:
        code = main(list(given))
        return Done(code, *capsys.readouterr())

    service.start()
    try:
        wait_for(lambda: "service_started" in service.tail())
        yield call
    finally:
        service.stop()


def test_runs_are_backed_up_pruned_and_deleted_while_the_conductor_works(conductor: Command, tmp_path: Path) -> None:
    flow, workspace = tmp_path / "folds.yaml", tmp_path / "w"
    flow.write_text(FLOW)
    workspace.mkdir()
    for _ in range(2):
        assert conductor("run", str(flow), str(workspace)).returncode == 0
    runs = [line.split()[1] for line in conductor("runs").stdout.splitlines()]

    backup = conductor("backup", str(tmp_path / "b.tar"))
    again = conductor("backup", str(tmp_path / "b.tar"))
    looked = conductor("doctor")
    kept = conductor("prune", "--older-than", "1d", "--dry-run")
    would = conductor("prune", "--max-bytes", "1KiB", "--dry-run")
    wrong = conductor("prune", "--max-bytes", "1 parsec")
    deleted = conductor("delete", runs[0])
    pruned = conductor("prune", "--max-bytes", "1KiB")
    gone = conductor("show", runs[1])
    restored = conductor("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "new"))
    over = conductor("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "new"))
    elsewhere = conductor("prune", "--max-bytes", "1KiB", "--data", str(tmp_path / "new"))

    assert (backup.returncode, again.returncode, over.returncode) == (0, 1, 1)
    assert "2 runs, 0 of them unfinished; 2 snapshots" in backup.stdout
    assert f"conductor restore {tmp_path}/b.tar --data DIR" in backup.stderr
    assert "is there already" in again.stderr
    assert f"✔ database {tmp_path}/conductor/conductor.db" in looked.stdout
    assert "2 runs, every row can be read" in looked.stdout
    assert kept.stdout.startswith("0 runs would go")
    assert "2 runs would go" in would.stdout
    assert "conductor prune --max-bytes 1KiB" in would.stderr
    assert (wrong.returncode, "with one of B, KiB" in wrong.stderr) == (2, True)
    assert deleted.stdout == f"deleted {runs[0]}\n"
    assert "1 run deleted" in pruned.stdout
    assert "RUN_NOT_FOUND" in gone.stderr
    assert "it was deleted on 20" in gone.stderr
    assert "restored 2 runs of 20" in restored.stdout
    assert "holds a database already" in over.stderr
    assert (elsewhere.returncode, "has another database than" in elsewhere.stderr) == (2, True)


def test_the_doctor_names_damage_without_a_conductor_and_says_what_to_do(tmp_path: Path, conductor: Command) -> None:
    flow, workspace = tmp_path / "folds.yaml", tmp_path / "w"
    flow.write_text(FLOW)
    workspace.mkdir()
    conductor("run", str(flow), str(workspace))
    run = conductor("runs").stdout.split()[1]
    connection = sqlite3.connect(tmp_path / "conductor" / "conductor.db")
    connection.execute("UPDATE journal SET data = '{oops' WHERE position = 2")
    connection.commit()
    connection.close()

    looked = conductor("--address", "127.0.0.1:1", "doctor", "--data", str(tmp_path / "conductor"))
    nothing = conductor("--address", "127.0.0.1:1", "doctor", "--data", str(tmp_path / "w"))
    shown = conductor("show", run)
    refused = [conductor("report", run), conductor("show", run, "said"), conductor("output", run, "said")]

    assert looked.returncode == 1
    assert f"run {run}: journal, position 2" in looked.stdout
    assert f"let go of what is damaged:  conductor delete {run}" in looked.stdout
    assert f"✘ there is no database in {tmp_path}/w" in nothing.stdout
    assert (shown.returncode, "✘ this run is damaged" in shown.stdout) == (1, True)
    assert "conductor doctor" in shown.stderr
    assert ["(STORAGE_DAMAGED)" in done.stderr and "conductor doctor" in done.stderr for done in refused] == [True] * 3
