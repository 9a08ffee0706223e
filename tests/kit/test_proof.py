from dataclasses import replace
from pathlib import Path

import pytest

from agenthost.proof.probe import NO_AGENT, prove_host
from tests.kit.proof import ProofOfTheSession

pytestmark = pytest.mark.processes

LETS_ALL_THROUGH = b"\x06\x00\x00\x00\x00\x00\xff\x7f"


@pytest.mark.long
async def test_the_same_sandbox_is_proven_once_and_another_one_for_itself(tmp_path: Path) -> None:
    proof = ProofOfTheSession()
    sandbox, report = await prove_host(tmp_path, proof)
    assert sandbox is not None

    again = await proof(replace(sandbox, spawn_log=tmp_path / "another"), tmp_path, NO_AGENT)
    weak = replace(sandbox, syscall_filter=LETS_ALL_THROUGH)
    weakened = [await proof(weak, tmp_path, NO_AGENT) for _ in range(2)]

    assert report.available
    assert again is report
    assert [one.available for one in weakened] == [False, False]
    assert weakened[0] is not weakened[1]
