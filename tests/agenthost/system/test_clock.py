"""No decision of a host depends on the machine's wall clock."""

import ast
import time
from pathlib import Path

import pytest

import agenthost
from agenthost.system.clock import steady_clock

PACKAGE = Path(agenthost.__file__).parent
# What is read for people to look at; agents and what is generated are not the host.
SHOWN = {
    "packages/trials.py": "when an agent was tried",
    "models/gateway/exchange.py": "how far off the date is that an endpoint names",
    "system/clock.py": "where the steady clock begins",
    "attempt/execution.py": "when damage was found",
    "host/state.py": "since when the daemon runs",
    "attempt/outbox.py": "when a frame was made",
    "snapshots/store.py": "where the store is opened without a clock",
    "attempt/records.py": "when an end was found whose file is gone",
    "shim/__main__.py": "when an agent was let go",
    "joining.py": "until when a certificate lasts, which is a date",
    "api/renewal.py": "until when a certificate lasts, which is a date",
    "models/gateway/measured_request.py": "when a request to a model began, for a trace",
}


def reads_wall_time(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(
            value=ast.Name(id="time"), attr="time" | "time_ns" | "localtime" | "gmtime" | "CLOCK_REALTIME"
        ):
            return True
        case ast.Attribute(attr="utcnow" | "now", value=ast.Name(id="datetime")):
            return True
        case ast.ImportFrom(module="time" | "datetime"):
            return True
    return False


def test_wall_time_is_read_only_where_it_is_shown() -> None:
    """Keeps I4: a wrong clock changes nothing. A new reader must be given its reason here, or the steady clock."""
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in {"agents", "v1"}
        and any(reads_wall_time(node) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert readers == set(SHOWN)


def test_the_hosts_time_goes_on_while_the_wall_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = steady_clock()
    before, wall = now(), time.time()
    monkeypatch.setattr(time, "time", lambda: wall + 3600)

    assert abs(before - wall) < 60
    assert 0 <= now() - before < 60
