"""A command of the host's operator, in a real sandbox: it may write into its copy, and nowhere else. Keeps D2, E3, E7, E8."""

import json
from pathlib import Path

import pytest

from agenthost.config import PROGRAMS
from agenthost.core.admission.commands import read_command
from tests.agenthost.running_host import open_host

pytestmark = pytest.mark.processes

CHECKS = """
cat README.md
echo built >built.txt && mkdir made && cp built.txt made/ && cat made/built.txt
echo changed 2>/dev/null >/workspace/README.md || echo "the snapshot is not writable"
echo changed >README.md
{python} -c 'import socket; socket.create_connection(("192.0.2.1", 80), 2)' 2>/dev/null || echo "there is no network"
echo "$1" >&2
exit 3
"""
COMMANDS = {
    "checks": {
        "argv": ["/bin/sh", "-c", CHECKS.replace("{python}", "/usr/bin/python3"), "sh", "{suite}"],
        "parameters": {"suite": {"values": ["unit", "slow"]}},
    },
    "talks": {"argv": ["/bin/sh", "-c", "i=0; while [ $i -lt 9000 ]; do echo 0123456789; i=$((i+1)); done"]},
    "small": {"argv": ["/bin/true"], "resources": {"tmp_bytes": 4096}},
    "absent": {"argv": ["/usr/bin/no-such-program"]},
}


async def test_a_command_writes_into_its_own_copy_and_its_exit_code_is_a_value(
    short_path: Path, repository: Path
) -> None:
    commands = {name: read_command(name, table, str(PROGRAMS)) for name, table in COMMANDS.items()}
    async with open_host(short_path, repository, commands=commands) as client:
        conversation, finished = await client.run(agent="command-checks", parameters={"suite": "slow"})
        _, talked = await client.run(agent="command-talks", step="talks")
        small, refused = await client.run(agent="command-small", step="small")
        absent, failed = await client.run(agent="command-absent", step="absent")
        wrong = await client.refused(
            client.start_of(agent="command-checks", step="wrong", parameters={"suite": "rm -rf"})
        )

    result = json.loads(finished.result_json)
    assert result["stdout"].splitlines() == [
        *("# Hello", "", "A line to quote.", "built"),
        *("the snapshot is not writable", "there is no network"),
    ]
    assert (result["exit_code"], result["stderr"], result["truncated"]) == (3, "slow\n", False)
    assert (finished.outcome, finished.exit_code) == (finished.OUTCOME_SUCCEEDED, 0)
    assert finished.attestation.snapshot_fingerprint_before == finished.attestation.snapshot_fingerprint_after
    assert conversation.said("log").startswith("# Hello")
    told = json.loads(talked.result_json)
    assert (told["truncated"], len(told["stdout"])) == (True, 64 * 1024)
    assert "resources.tmp_bytes" in small.said("log")
    assert "no-such-program" in absent.said("log")
    assert (refused.outcome, failed.outcome) == (refused.OUTCOME_FAILED, refused.OUTCOME_FAILED)
    assert wrong.reason == "INVALID_REQUEST"
