"""Resource names: `runs/{run}`, `runs/{run}/steps/{step}`, `runs/{run}/gates/{gate}`, `flows/{flow}`, `hosts/{host}`."""

import re

from conductor.core.model.step_path import STEP_PATH
from conductor.errors import InvalidRequestError, Violation
from servicekit.tls.identity import NAME

_RUN = re.compile(r"runs/([a-z0-9]{26})")
_STEP = re.compile(rf"runs/([a-z0-9]{{26}})/steps/({STEP_PATH})")
_GATE = re.compile(rf"runs/([a-z0-9]{{26}})/gates/({STEP_PATH})-([1-9][0-9]{{0,5}})")
_HOST = re.compile(rf"(?:hosts/)?({NAME.pattern})")  # attempts name their host without the collection
_REPORT = re.compile(r"runs/([a-z0-9]{26})(?:/report)?")


def run_name(run: str) -> str:
    """Names a run."""
    return f"runs/{run}"


def step_name(run: str, step: str) -> str:
    """Names a step; empty where there is none."""
    return f"runs/{run}/steps/{step}" if step else ""


def gate_name(run: str, gate: str) -> str:
    """Names a gate."""
    return f"runs/{run}/gates/{gate}"


def host_name(host: str) -> str:
    """Names a host."""
    return f"hosts/{host}"


def read_run(name: str, field: str = "name") -> str:
    """Reads the run's id in its name; raises InvalidRequestError for any other text."""
    return _read(_RUN, name, field, "runs/{run}, with 26 characters of a-z and 0-9")[0]


def read_report(name: str, field: str = "name") -> str:
    """Reads the run's id in the name of its report, or in its own; raises InvalidRequestError for any other text."""
    return _read(_REPORT, name, field, "runs/{run} or runs/{run}/report, with 26 characters of a-z and 0-9")[0]


def read_step(name: str, field: str = "name") -> tuple[str, str]:
    """Reads the ids of run and step in the step's name; raises InvalidRequestError for any other text."""
    run, step = _read(_STEP, name, field, "runs/{run}/steps/{step}")
    return run, step


def read_gate(name: str, field: str = "name") -> tuple[str, str, int]:
    """Reads run, step and number in the name of a gate; raises InvalidRequestError for any other text."""
    run, step, number = _read(_GATE, name, field, "runs/{run}/gates/{step}-{attempt}")
    return run, step, int(number)


def read_host(name: str, field: str = "name") -> str:
    """Reads the host in its name; raises InvalidRequestError for any other text."""
    return _read(_HOST, name, field, "hosts/{host}")[0]


def _read(pattern: re.Pattern[str], name: str, field: str, form: str) -> tuple[str, ...]:
    match = pattern.fullmatch(name)
    if match is None:
        raise InvalidRequestError(Violation(field, f"must be {form}; it is '{name[:100]}'"))
    return match.groups()
