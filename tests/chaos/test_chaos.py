"""A small world in trouble, from outside: the short form of `./dev chaos`. Keeps B1, B7, G1, I1, I2, I3.

That its judge finds mistakes is shown by `tests/simulation` for each rule, and by the twins of `./dev chaos` for real processes.
"""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.long]


@pytest.mark.timeout(240)
def test_killed_services_lose_nothing_and_run_nothing_twice() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.chaos", "--short"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise was kept" in done.stdout


@pytest.mark.timeout(900)
def test_two_conductors_on_a_postgresql_that_dies_too_lose_nothing() -> None:
    """Keeps K15 and I1: ten kills; conductors and the database are frozen and cut off from each other as well."""
    options = ("--short", "--store", "postgresql")
    done = subprocess.run([sys.executable, "-m", "tests.chaos", *options], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise was kept" in done.stdout
