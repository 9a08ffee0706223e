"""Every line of the cookbook in docs/api.md, as it stands, with real grpcurl and buf. Keeps K1."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.services import Pair, running_pair

ROOT = Path(__file__).resolve().parents[2]
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
BUILD_SECONDS = 300
ERRORS = re.compile(r"^(?P<line>.*?)  # (?P<reason>[A-Z_]+)$")

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(BUILD_SECONDS + 60)]


@pytest.fixture(scope="module")
def tools() -> Path:
    """A folder with grpcurl, built once through Go's module proxy; buf stands beside Python."""
    folder = ROOT / ".cache" / "bin"
    if (folder / "grpcurl").exists():
        return folder
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go on this machine, so grpcurl cannot be built: the cookbook is not run")
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOBIN": str(folder)}
    subprocess.run([go, "install", GRPCURL], env=environment, check=True, timeout=BUILD_SECONDS)
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository with something to find, in a folder whose name holds a space."""
    folder = tmp_path_factory.mktemp("work space")
    (folder / "app.py").write_text(
        '"""An app."""\n\n\ndef load(text):\n    try:\n        return eval(text)\n    except:\n        pass\n'
    )
    (folder / "README.md").write_text("# An app\n\nRead [the guide](docs/guide.md) first.\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, workspace: Path) -> Iterator[Pair]:
    with running_pair(tmp_path_factory.mktemp("pair"), extra=("--root", str(workspace))) as running:
        yield running


def _lines(info: str) -> list[str]:
    block = re.search(rf"^```sh {info}\n(.*?)^```", (ROOT / "docs/api.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line and not line.startswith("#")]


def _run(script: list[str], pair: Pair, tools: Path, workspace: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "CONDUCTOR_ADDRESS": pair.address}
    return subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_line_of_the_cookbook_works_and_says_what_it_promises(pair: Pair, tools: Path, workspace: Path) -> None:
    script = ["set -euo pipefail", *(f"{line}\necho '=== {number}'" for number, line in enumerate(_lines("cookbook")))]
    done = _run(script, pair, tools, workspace)

    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    for promised in (
        "conductor.v1.RunService",
        "grpc.health.v1.Health",
        "// Starts, follows, stops and reads runs.",
        '"status": "SERVING"',
        '"state": "STATE_READY"',
        '"name": "flows/survey"',
        '"state": "STATE_SUCCEEDED"',
        '"status": "STATUS_VERIFIED"',
        '"totalBytes"',
        '"markdown"',
    ):
        assert promised in done.stdout, promised


def test_a_gate_is_decided_as_the_cookbook_says(pair: Pair, tools: Path, workspace: Path) -> None:
    """Keeps H3."""
    done = _run(["set -euo pipefail", *_lines("cookbook gates")], pair, tools, workspace)

    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    assert '"state": "STATE_APPROVED"' in done.stdout
    assert '"resolver": "ann"' in done.stdout


def test_every_error_of_the_cookbook_comes_with_its_reason_and_its_details(
    pair: Pair, tools: Path, workspace: Path
) -> None:
    run = next(line for line in _lines("cookbook") if line.startswith("RUN="))
    watch = next(line for line in _lines("cookbook") if "WatchRun" in line)
    settled = _run([run, f"{watch} >/dev/null", "echo $RUN"], pair, tools, workspace).stdout.strip()
    lines = [ERRORS.match(line) for line in _lines("cookbook errors")]

    assert len(lines) >= 16
    for match in lines:
        assert match is not None
        done = _run([f"RUN={settled}", match["line"]], pair, tools, workspace)
        assert done.returncode != 0, match["line"]
        assert f'"reason":"{match["reason"]}"' in done.stderr.replace(" ", ""), done.stderr
