"""Runs deptry over every project, and writes a line of JSON for each result: `code`, `path`, `line`, `message`."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..reading.snapshot import Snapshot
from .certainty import Uses
from .declarations import Declared, projects

WORKSPACE = Path("/workspace")
UNUSED, IN_STANDARD_LIBRARY = "DEP002", "DEP005"
EXCLUDE_NOTHING = "^$"  # else it leaves out tests and set-up scripts, where uses may stand
DEPTRY_SECONDS = 60
MAX_OUTPUT_BYTES = 4 * 1024 * 1024
USAGE = 2


def main(arguments: Sequence[str], *, root: Path = WORKSPACE, work: Path | None = None) -> int:
    """Runs the command of deptry that the arguments are."""
    if not arguments:
        sys.stderr.write("usage: dependencies DEPTRY…\n")
        return USAGE
    snapshot = Snapshot(root)
    found = projects(snapshot)
    uses = Uses(snapshot, (one for declared in found.values() for one in declared))
    for folder, declared in found.items():
        for result in _results(arguments, root / folder, declared, uses, work or Path.cwd()):
            sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _results(
    command: Sequence[str], folder: Path, declared: Sequence[Declared], uses: Uses, work: Path
) -> Iterator[dict[str, Any]]:
    by_key = {one.key: one for one in declared}
    said = _said(command, folder, by_key, work)
    old = {name for code, name in said if code == IN_STANDARD_LIBRARY}
    for code, name in said:
        one = by_key.get(name)
        if one is None or one.is_doubtful or (code == UNUSED and (name in old or not uses.is_unused(one))):
            continue
        message = (
            f"`{one.name}` is declared, and nothing imports or names it."
            if code == UNUSED
            else f"`{one.name}` is declared, and the standard library has it."
        )
        yield {"code": code, "path": one.path, "line": one.line, "message": message}


def _said(command: Sequence[str], folder: Path, names: Iterable[str], work: Path) -> list[tuple[str, str]]:
    """Returns the codes and names that deptry says, of a list of names: it reads no file of the project but code."""
    requirements, output = work / "requirements.txt", work / "deptry.json"
    requirements.write_text("".join(f"{name}\n" for name in names))
    output.unlink(missing_ok=True)
    options = [
        "--config",
        str(work / "none.toml"),
        "--requirements-files",
        str(requirements),
        "--exclude",
        EXCLUDE_NOTHING,
        "--no-ansi",
    ]
    codes = ["--ignore", "DEP001,DEP003,DEP004", "--json-output", str(output)]
    done = subprocess.run(
        [*command, *options, *codes, str(folder)],
        cwd=work,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=DEPTRY_SECONDS,
        check=False,
    )
    if not output.is_file() or output.stat().st_size > MAX_OUTPUT_BYTES:
        words = done.stderr.decode(errors="replace").strip().split("\n")[-1][:300]
        raise SystemExit(f"deptry ended with exit code {done.returncode}: {words}")
    said = json.loads(output.read_text())
    return [(str(one["error"]["code"]), str(one["module"])) for one in said]
