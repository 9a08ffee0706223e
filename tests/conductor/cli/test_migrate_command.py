"""`conductor migrate` says what it did, in words and as JSON, and what stands in its way. Keeps K15 and B12."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conductor.cli.main import main
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import creation, run_name

pytestmark = pytest.mark.processes


@pytest.fixture
def home(tmp_path: Path) -> str:
    async def fill() -> None:
        async with await SqliteStore.open(tmp_path / "home") as store:
            await store.append(creation(run_name(1)), 1.0)

    asyncio.run(fill())
    return str(tmp_path / "home")


def test_it_says_what_would_go_what_went_and_that_it_is_there(
    home: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = str(tmp_path / "there")
    told, hints = [], []
    for more in (["--dry-run"], [], [], ["--output", "json"]):
        assert main(["migrate", "--from", home, "--to", there, *more]) == 0
        said = capsys.readouterr()
        told.append(said.out)
        hints.append(said.err)

    assert f"1 run with 6 rows would go to {there}\nevery list follows from the journal\n" in told[0]
    assert f"1 run with 6 rows went to {there}\n" in told[1]
    assert "every row is equal on both sides" in told[1]
    assert f"serve it from there, with its other settings:  conductor serve --data {there}\n" in hints[1]
    assert f"to move it:  conductor migrate --from {home} --to {there}\n" in hints[0]
    assert f"1 run whose snapshot was lost before: {run_name(1)}" in told[1]
    assert f"is in {there} already, with epoch 2" in told[2]
    assert json.loads(told[3])["epoch"] == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--to", "{home}"], "--from and --to are the same folder"),
        (["--to", "ftp://x/y"], "'ftp://x/y' is neither a data folder nor postgresql://USER@HOST/DB"),
        (["--to", "postgresql://a:hidden@h/db"], "holds a password"),
        (["--to", "postgresql+psycopg://a:hidden@h/db"], "is neither a data folder nor postgresql://USER@HOST/DB"),
        (["--to", "host=h password=hidden dbname=x"], "is neither a data folder nor postgresql://USER@HOST/DB"),
        (["--to", "{home}-2", "--to-blobs", "nowhere"], "blobs: 'nowhere' is not a whole path of a folder"),
        (["--to", ""], "--from or --to is empty"),
    ],
)
def test_it_says_what_stands_in_its_way(
    home: str, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["migrate", "--from", home, *(argument.format(home=home) for argument in arguments)])
    told = capsys.readouterr().err

    assert code == 1
    assert why in told
    assert "hidden" not in told
    assert not Path(f"{home}-2").exists()


def test_a_moved_folder_is_neither_served_nor_pruned_and_the_doctor_says_where_it_went(
    home: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["migrate", "--from", home, "--to", str(tmp_path / "there")]) == 0
    capsys.readouterr()
    serve = [sys.executable, "-m", "conductor.cli", "serve", "--data", home, "--listen", f"unix:{tmp_path}/c.sock"]
    done = subprocess.run(serve, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    moved = f"the conductor of {home} was moved to {tmp_path}/there"
    assert moved in done.stderr
    for command in (["doctor"], ["prune", "--older-than", "1h"]):
        monkeypatch.setenv("CONDUCTOR_ADDRESS", f"unix:{tmp_path}/c.sock")
        assert main([*command, "--data", home]) != 0
        told = "".join(capsys.readouterr())
        assert moved in told
        assert f"conductor serve --data {tmp_path}/there" in told
    assert f"conductor serve --data {tmp_path}/there\n" in done.stderr
    assert f"conductor migrate --from {tmp_path}/there --to {home}\n" in done.stderr
