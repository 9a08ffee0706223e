"""K7, I1: a conductor of today opens what f9ac01c left at work, and every run goes on to the end that it has undisturbed."""

import asyncio
import lzma
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conductor.maintenance.backup import restore_backup
from tests.yesterday.archive import differences, recall, unpack
from tests.yesterday.world import resume

pytestmark = pytest.mark.processes

HERE = Path(__file__).parent / "f9ac01c"
NOT_FOUND = re.compile("missing: .*no whole lines elsewhere in this file are it")
FAILED_THEN = re.compile(r"^(- \*\*\w+\*\* failed(?: before it began)?): `(\w+)`, (.*)$")
MISSING_NOW = re.compile(r"^✗ missing · (?:critical|high|medium|low|info) ·")
# Of the disk of the machine that reads, which may have a folder of this name.
OF_THE_DISK = "- Whether the workspace changed"
SNAPSHOT_THEN = re.compile(r"^- Snapshot (`\w+`), made from a directory without git$")
SNAPSHOT_NOW = r"- `/tmp/conductor-yesterday/workspace`, files without a commit below them, as snapshot \1"

EVERY_STATE = {
    *(f"run STATE_{state}" for state in ("QUEUED", "RUNNING", "CANCELLING")),
    *(
        f"step STATE_{state}"
        for state in ("READY", "QUEUED", "RUNNING", "VALIDATING", "SUCCEEDED", "FAILED", "CANCELLED")
    ),
    *(f"attempt STATE_{state}" for state in ("STARTING", "RUNNING", "SUCCEEDED", "FAILED")),
    *(f"KIND_{kind}" for kind in ("SLOT", "AGENT", "RETRY")),
}


@dataclass(frozen=True)
class Resumed:
    """The answers of f9ac01c about a database, and the answers of today."""

    then: Mapping[str, Any]
    now: Mapping[str, Any]

    def story(self, run: str) -> str:
        return next(name for name, known in self.then["unfinished"].items() if known == run)


@pytest.fixture(scope="module", params=["conductor", "conductor_without_hosts"])
def resumed(request: pytest.FixtureRequest) -> Iterator[Resumed]:
    then = recall(HERE / f"{request.param}.json.xz")
    with tempfile.TemporaryDirectory(prefix="then-") as folder:
        unpack(HERE / f"{request.param}.tar.xz", Path(folder) / "data")
        yield Resumed(then, asyncio.run(resume(Path(folder), then)))


def assert_same_ends(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> None:
    """Compares runs by everything but the form of their reports, and these by what they tell."""
    without = [
        {run: {name: value for name, value in end.items() if name != "report"} for run, end in ends.items()}
        for ends in (then, now)
    ]
    assert differences(*without) == []
    for run, end in then.items():
        assert told_then(end["report"]) - told_now(now[run]["report"]) == set(), run


def told_then(report: str) -> set[str]:
    """Returns what a report of f9ac01c tells of findings, steps and the snapshot, each line as today's words have it."""
    apart = ("#", "**", "Read: ", OF_THE_DISK)
    lines = {line for line in report.splitlines() if (line and not line.startswith(apart)) or "####" in line}
    return {_in_words_of_today(line) for line in lines}


def _in_words_of_today(line: str) -> str:
    line = FAILED_THEN.sub(r"\1: \3 (\2)", line)
    return SNAPSHOT_THEN.sub(SNAPSHOT_NOW, line)


def told_now(report: str) -> set[str]:
    """Returns the lines of a report of today, those of a missing finding in f9ac01c's form."""
    lines = (MISSING_NOW.sub("✗ missing ·", line) for line in report.splitlines())
    return {NOT_FOUND.sub("missing: the quote does not stand in this file", line) for line in lines}


def as_listed_now(runs: Any) -> Any:
    """Returns the runs of a list as they are shown today: of their inputs only the question."""
    return [
        {**run, "inputs": {name: value for name, value in run["inputs"].items() if name == "question" and value}}
        for run in runs
    ]


def test_every_run_that_was_left_at_work_ends_as_undisturbed(resumed: Resumed) -> None:
    """Keeps I1 and K13, K12, K11, K6, K5, K3, K2 of the crash points over an upgrade."""
    then, now = ({resumed.story(run): end for run, end in told["ends"].items()} for told in (resumed.then, resumed.now))

    assert_same_ends(then, now)


def test_what_was_told_of_them_is_told_again_and_goes_on_without_a_gap(resumed: Resumed) -> None:
    for run, watched in resumed.now["watched"].items():
        told = resumed.then["histories"][run]

        assert differences(told, watched[: len(told)], resumed.story(run)) == []
        assert [int(message["sequence"]) for message in watched] == list(range(1, len(watched) + 1))


def test_the_starts_that_were_stored_are_sent_byte_for_byte(resumed: Resumed) -> None:
    """Keeps rule 3: a Start that may be on its way already is the same Start, so that nothing runs twice (I2)."""
    assert resumed.now["sent"] == resumed.then["sent"]
    assert resumed.now["spawned"] == resumed.then["spawned"]


def test_a_request_that_is_repeated_after_the_upgrade_makes_no_second_run(resumed: Resumed) -> None:
    """Keeps B2: the digest of a request's body is the same today."""
    asked = [run for story, run in resumed.then["settled"].items() if story == "everything"]

    assert resumed.now["repeated"] == asked


def test_every_state_was_met(resumed: Resumed) -> None:
    """Every state must be in these databases; else the tests around this one prove less than they say."""
    seen = set(_states(resumed.then["histories"].values()))

    assert seen >= EVERY_STATE if len(resumed.then["ends"]) > 1 else {"KIND_HOST"}


def _states(histories: Iterable[Iterable[Mapping[str, Any]]]) -> Iterator[str]:
    """Returns how runs, steps, attempts and waits stood when they were left."""
    for history in histories:
        stood = {message["step"]["name"]: message["step"] for message in history if "step" in message}
        yield "run " + [message["run"]["state"] for message in history if "run" in message][-1]
        for step in stood.values():
            yield "step " + step["state"]
            yield step.get("wait", {}).get("kind", "")
            yield from ("attempt " + attempt["state"] for attempt in step.get("attempts", ())[-1:])


def test_every_end_is_acknowledged(resumed: Resumed) -> None:
    assert resumed.now["unreleased"] == []


def test_what_is_settled_is_read_as_it_was(resumed: Resumed) -> None:
    """Keeps G1, G2: bytes, offsets, positions and tokens of runs that ended, compacted and not."""
    assert differences(resumed.then["read"], resumed.now["read"]) == []
    assert differences(as_listed_now(resumed.then["lists"]), resumed.now["lists"]) == []
    assert resumed.now["holes"] == []


async def test_a_backup_of_then_is_restored_and_its_run_goes_on(tmp_path: Path) -> None:
    """Keeps K7 for backups: its conductor has another id, and all its runs."""
    then = recall(HERE / "conductor_without_hosts.json.xz")
    (tmp_path / "backup.tar").write_bytes(lzma.decompress((HERE / "backup.tar.xz").read_bytes()))
    restored = await asyncio.to_thread(restore_backup, tmp_path / "backup.tar", tmp_path / "data")
    now = await resume(tmp_path, then)

    assert (restored.runs, restored.unfinished_runs) == (1, 1)
    assert_same_ends(then["ends"], now["ends"])
