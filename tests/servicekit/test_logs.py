"""A service logs where its own defects are, but not with which values."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

PROGRAM = """
import structlog, sys
from servicekit.logs import configure_logs
configure_logs(sys.argv[1], "info")
def fail(prompt):
    raise ValueError("a defect")
try:
    fail("the words of " + "a customer")
except ValueError:
    structlog.get_logger().exception("call_failed")
"""


@pytest.mark.parametrize("style", ["plain", "json"])
def test_a_traceback_names_the_line_and_shows_no_values_of_variables(style: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, style], capture_output=True, text=True, check=True)

    assert "ValueError" in done.stderr
    assert "a defect" in done.stderr
    assert "the words of a customer" not in done.stderr
    assert "╭" not in done.stderr
