"""A service does not load what it never uses, and the CLI has it all the same."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

PROGRAM = """
import sys
from servicekit.runtime.lean_imports import lean_imports
with lean_imports():
    import {package}.app
loaded = {{name.partition(".")[0] for name in sys.modules if sys.modules[name]}}
unused = {{"rich", "prometheus_client", "opentelemetry", "cryptography", "zeroconf", "psycopg", "obstore"}} & loaded
assert not unused, f"{{unused}} was loaded"
import rich.console
import structlog
structlog.get_logger().warning("still", well=1)
"""


@pytest.mark.parametrize("package", ["conductor", "agenthost"])
def test_a_service_loads_neither_rich_nor_extras_and_a_module_that_imports_rich_later_gets_it(package: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(package=package)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert "still" in done.stdout
