from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.sandbox.cgroups import sweep
from tests.kit.attempts import Workbench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    bench = await Workbench.make(tmp_path)
    yield bench
    if bench.sandbox.cgroups:  # shims are killed here, and what they cannot remove, a daemon sweeps
        sweep(bench.sandbox.cgroups, lambda: ())
