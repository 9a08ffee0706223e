"""Checks what an agent gets: prompts, inputs, variables; and what it does not get.

Run by root and, through test_ordinary_user, by others.
"""

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import pytest

from agenthost.core.output.spool import RecordKind
from tests.kit.attempts import Workbench, finish, output, records
from tests.kit.processes import processes_with

pytestmark = pytest.mark.processes


async def test_neither_prompt_nor_variables_show_in_the_process_table(bench: Workbench) -> None:
    """Keeps D8."""
    secret = f"secret{os.getpid()}"
    launch = {"prompt": f"{secret} prompt".encode(), "environment": {"PLACEHOLDER": f"{secret}-key"}}
    async with await bench.spawn("sh", "-c", 'read -r line; echo "$line $PLACEHOLDER"; sleep 100', **launch) as attempt:
        await output(attempt, f"{secret} prompt {secret}-key")
        assert processes_with(secret) == []
        await attempt.cancel("seen")
        await finish(attempt)


async def test_the_environment_is_an_allow_list(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps D8."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    done = await bench.run("env", environment={"LENS": "risks"})
    names = {line.split("=")[0] for line in done.stdout.splitlines()}
    assert "OPENAI_API_KEY" not in names
    assert {"PATH", "HOME", "LENS"} <= names
    assert names <= {"PATH", "HOME", "LENS", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TERM", "NO_COLOR", "TZ", "PWD",
                     "PYTHONDONTWRITEBYTECODE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}  # fmt: skip


async def test_an_agent_inherits_three_descriptors(bench: Workbench) -> None:
    script = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:-1])"
    done = await bench.run(str(Path(sys.executable).resolve()), "-I", "-S", "-c", script, prompt_is_file=True)
    assert done.stdout == "[0, 1, 2]\n"


async def test_a_prompt_that_is_not_read_blocks_nothing(bench: Workbench) -> None:
    """Keeps D8 and the second rule: the shim never waits for an agent."""
    done = await bench.run("sh", "-c", "echo deaf; sleep 0.1; exit 3", prompt=bytes(1024 * 1024))
    assert (done.stdout, done.status.exit_code) == ("deaf\n", 3)


async def test_a_large_prompt_arrives_whole_and_then_stdin_ends(bench: Workbench) -> None:
    """Keeps D8."""
    prompt = os.urandom(1024 * 1024)
    done = await bench.run("sh", "-c", "sha256sum; echo end", prompt=prompt)
    assert done.stdout == f"{hashlib.sha256(prompt).hexdigest()}  -\nend\n"


async def test_a_prompt_may_be_a_file(bench: Workbench) -> None:
    """Keeps D8."""
    done = await bench.run(
        "sh", "-c", "cat /run/prompt; cat; echo x > /run/prompt", prompt=b"as a file", prompt_is_file=True
    )
    assert done.stdout == "as a file"
    assert done.status.exit_code != 0


async def test_inputs_reach_the_agent_once_and_in_order(bench: Workbench) -> None:
    """Keeps I2 for inputs: an input is written down before it is applied."""
    script = 'read -r p; echo "p $p"; while read -r l; do echo "got $l"; done'
    async with await bench.spawn("sh", "-c", script, prompt=b"prompt\n", keeps_stdin=True) as attempt:
        assert await attempt.give_input(1, "one\n")
        assert not await attempt.give_input(3, "gap\n")
        assert await attempt.give_input(1, "one again\n")
        assert await attempt.give_input(2, "two\n")
        await output(attempt, "got two")
        kept = records(attempt)
        await attempt.cancel("done")
        await finish(attempt)
    applied = [data for kind, data in kept if kind == RecordKind.INPUT]
    assert applied == [(1).to_bytes(8, "little") + b"one\n", (2).to_bytes(8, "little") + b"two\n"]
    said = b"".join(data for kind, data in kept if kind == RecordKind.STDOUT)
    assert said == b"p prompt\ngot one\ngot two\n"


async def test_an_agent_that_reads_nothing_takes_no_input_and_hinders_nothing(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "echo up; sleep 100", keeps_stdin=True) as attempt:
        await output(attempt, "up")
        waiting = asyncio.ensure_future(attempt.give_input(1, "x" * 200_000))
        await attempt.cancel("never mind")
        await finish(attempt)
        assert await waiting is False


async def test_a_one_shot_agent_takes_no_input(bench: Workbench) -> None:
    async with await bench.spawn("sh", "-c", "cat; echo up; sleep 100") as attempt:
        await output(attempt, "up")
        assert not await attempt.give_input(1, "too late\n")
        await attempt.cancel("seen")
        await finish(attempt)
