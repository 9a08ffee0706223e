"""An operator looks after a conductor's storage, from outside and while it works. Keeps B12 I6 K2 K6."""

import asyncio
import io
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conductor.cli.main import main
from conductor.store.sqlite.store import SqliteStore
from tests.kit.services import Service, free_port
from tests.kit.waiting import wait_until

FLOW = "title: Folds\nsteps:\n  - {id: said, fold: {template: hello}}\n"

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a command."""

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
        wait_until(lambda: "no_hosts" in service.tail())  # the line behind service_started: this one can run no agent
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
    unasked = conductor("prune", "--max-bytes", "1KiB")
    there = conductor("show", runs[1])
    pruned = conductor("prune", "--max-bytes", "1KiB", "--yes")
    gone = conductor("show", runs[1])
    restored = conductor("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "new"))
    over = conductor("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "new"))
    elsewhere = conductor("prune", "--max-bytes", "1KiB", "--data", str(tmp_path / "new"))

    assert (backup.returncode, again.returncode, over.returncode) == (0, 1, 1)
    assert "2 runs, 0 of them unfinished; 2 snapshots" in backup.stdout
    assert f"conductor restore {tmp_path}/b.tar --data DIR" in backup.stderr
    assert "exists already" in again.stderr
    assert f"✔ database {tmp_path}/conductor/conductor.db" in looked.stdout
    assert " used, 2 runs, every row can be read" in looked.stdout
    assert f"conductor serve --data {tmp_path}/new --host NAME=ADDRESS" in restored.stderr
    assert kept.stdout == "nothing to delete\n"
    assert "--max-bytes 1.0 KiB takes every run that has ended; the rest of the database, about " in would.stdout
    assert "2 runs would go" in would.stdout
    assert "conductor prune --max-bytes 1KiB" in would.stderr
    assert (wrong.returncode, "with a unit of B, KiB" in wrong.stderr) == (2, True)
    assert deleted.stdout == f"deleted {runs[0]}\n"
    assert (unasked.returncode, unasked.stdout, there.returncode) == (2, "", 0)
    assert "1 run would be deleted for good, and there is no terminal to ask on; nothing was deleted" in unasked.stderr
    assert "delete them:  conductor prune --max-bytes 1KiB --yes\n" in unasked.stderr
    assert "1 run deleted" in pruned.stdout
    assert "RUN_NOT_FOUND" in gone.stderr
    assert "it was deleted on 20" in gone.stderr
    assert "restored 2 runs of 20" in restored.stdout
    assert "holds a database already" in over.stderr
    assert (elsewhere.returncode, "has another database than" in elsewhere.stderr) == (2, True)


def test_every_command_that_takes_json_prints_json(conductor: Command, tmp_path: Path) -> None:
    flow, workspace = tmp_path / "folds.yaml", tmp_path / "w"
    flow.write_text(FLOW)
    workspace.mkdir()
    for _ in range(2):
        conductor("run", str(flow), str(workspace))
    first, second = (each["name"] for each in _objects(conductor("runs", "--output", "json")))

    looked = conductor("doctor", "--output", "json")
    made = conductor("backup", str(tmp_path / "b.tar"), "--output", "json")
    restored = conductor("--output", "json", "restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "new"))
    would = conductor("prune", "--max-bytes", "1KiB", "--dry-run", "--output", "json")
    deleted = conductor("delete", first.removeprefix("runs/"), "--output", "json")
    pruned = conductor("prune", "--max-bytes", "1KiB", "--yes", "--output", "json")

    assert looked.returncode == int(not all(each["good"] for each in _objects(looked)))
    assert any(each["details"] or each["advice"] for each in _objects(looked))
    assert [(each["runs"], each["snapshots"]) for each in _objects(made)] == [(2, 2)]
    assert [(each["runs"], each["unfinishedRuns"]) for each in _objects(restored)] == [(2, 0)]
    assert {(each["name"], each["deleted"]) for each in _objects(would)} == {(first, False), (second, False)}
    assert _objects(deleted) == [{"name": first, "deleted": True}]
    assert [(each["name"], each["deleted"]) for each in _objects(pruned)] == [(second, True)]


def _objects(done: Done) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_folder_and_an_address_of_two_conductors_are_told_apart(
    conductor: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps K2: what is backed up, listed or looked at is never silently another conductor's than the one that is named."""
    address = os.environ["CONDUCTOR_ADDRESS"]
    usual = tmp_path / "elsewhere" / "conductor"
    monkeypatch.setenv("XDG_STATE_HOME", str(usual.parent))
    asyncio.run(_make_database(usual))

    told = conductor("doctor")
    mixed = conductor("doctor", "--data", str(usual))
    refused = conductor("backup", str(tmp_path / "a.tar"), "--address", address, "--data", str(usual))
    listed = conductor("prune", "--max-bytes", "1KiB", "--dry-run", "--data", str(usual))
    own = conductor("backup", str(tmp_path / "own.tar"), "--address", address)
    named = conductor("backup", str(tmp_path / "named.tar"), "--data", str(usual))
    nowhere = conductor("backup", str(tmp_path / "b.tar"), "--address", "127.0.0.1:1")
    unasked = conductor("doctor", "--address", "127.0.0.1:1")
    asked = conductor("doctor", "--address", "127.0.0.1:1", "--data", str(usual))

    assert f"✔ database {tmp_path}/conductor/conductor.db" in told.stdout
    assert "✘ this is not that conductor's database" in mixed.stdout
    assert f"the conductor that answers uses {tmp_path}/conductor" in mixed.stdout
    assert f"then try again:  conductor doctor --data {usual}\n" in mixed.stdout
    for each in (refused, listed):
        assert (each.returncode, "has another database than" in each.stderr) == (2, True)
    assert (own.returncode, named.returncode) == (0, 0)
    assert (nowhere.returncode, "its data folder is unknown" in nowhere.stderr) == (69, True)
    assert (
        "address" not in nowhere.stderr.splitlines()[-1]
    )  # without one the usual folder is meant, of whatever conductor
    assert "✔ database" not in unasked.stdout
    assert "name it:  conductor --address 127.0.0.1:1 doctor --data DIR" in " ".join(unasked.stdout.split("\n    "))
    assert f"✔ database {usual}/conductor.db" in asked.stdout
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == ["named.tar", "own.tar"]


def test_prune_and_delete_ask_on_a_terminal_and_say_what_to_type(
    conductor: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, workspace = tmp_path / "folds.yaml", tmp_path / "w"
    flow.write_text(FLOW)
    workspace.mkdir()
    conductor("run", str(flow), str(workspace))
    run = conductor("runs").stdout.split()[1]
    address = os.environ["CONDUCTOR_ADDRESS"]

    would = conductor("prune", "--max-bytes", "1KiB", "--dry-run", "--address", address)
    wrong = conductor("prune", "--older-than", "1d", "--max-bytes", "0KiB")
    monkeypatch.setattr(sys, "stdin", Terminal("n\nn\n"))
    kept = conductor("prune", "--max-bytes", "1KiB")
    spared = conductor("delete", "last")
    filtered = conductor("runs", "--label", "a=b")
    ended = conductor("cancel", run)
    gone = conductor("prune", "--max-bytes", "1KiB", "--yes")
    conductor("run", str(flow), str(workspace))
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    confirmed = conductor("delete", "last")
    conductor("run", str(flow), str(workspace))
    unasked = conductor("delete", "last", "--yes")

    assert f"conductor --address {address} prune --max-bytes 1KiB\n" in would.stderr
    assert "--max-bytes must be at least 1, not '0KiB'" in wrong.stderr
    assert (kept.returncode, "1 run to delete" in kept.stdout, "nothing was deleted" in kept.stderr) == (3, True, True)
    assert (spared.returncode, spared.stdout) == (3, "")
    assert f"✔ {run}  succeeded" in spared.stderr
    assert "Delete for good? [y/N]: nothing was deleted" in spared.stderr.replace(": \n", ": ")
    assert [(each.returncode, each.stdout[:8]) for each in (confirmed, unasked)] == [(0, "deleted ")] * 2
    assert unasked.stderr == ""
    assert filtered.stderr == "no such runs; see all:  conductor runs\n"
    assert f"conductor show {run}" in ended.stderr
    assert (gone.returncode, "1 run deleted" in gone.stdout) == (0, True)


async def _make_database(folder: Path) -> None:
    async with await SqliteStore.open(folder):
        pass


class Terminal(io.StringIO):
    """A person's answers."""

    def isatty(self) -> bool:
        return True


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
    assert f"let go of what is damaged:  conductor --address 127.0.0.1:1 delete {run}" in looked.stdout
    assert f"✘ there is no database in {tmp_path}/w" in nothing.stdout
    assert (shown.returncode, "✘ this run is damaged" in shown.stdout) == (1, True)
    assert "journal, position 2" in shown.stdout
    assert "conductor doctor" in shown.stderr
    assert ["(STORAGE_DAMAGED)" in done.stderr and "conductor doctor" in done.stderr for done in refused] == [True] * 3
