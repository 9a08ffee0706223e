"""What `conductor hosts` says of hosts that are drained, added, or whose certificates end; waits for one. Keeps C9."""

import time
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from conductor.cli.commands.pool import watching
from conductor.cli.views.hosts import fact_lines, host_line, remarks
from conductor.v1.pool_service_pb2 import Host, HostDrain

NOW = 1_000_000.0
SEEN = Timestamp(seconds=1)


def host(**fields: Any) -> Host:
    return Host(name="hosts/alpha", address="unix:/a", state=Host.STATE_READY, last_seen_time=SEEN, slots=4, **fields)


def drained(by: str = "", **fields: Any) -> Host:
    return host(drain=HostDrain(by=by, since_time=Timestamp(seconds=int(NOW) - 60)), **fields)


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        (host(source=Host.SOURCE_STORED, running=2, queued=3), ["ready", "2 of 4 slots in use  3 queued", "unix:/a  added"]),
        (host(source=Host.SOURCE_CONFIGURATION, labels={"gpu": "yes"}), ["gpu=yes  unix:/a  configured"]),
        (drained(), ["drained  "]),
        (Host(name="hosts/alpha", state=Host.STATE_DRAINING), ["draining"]),
    ],
)  # fmt: skip
def test_a_host_is_told_in_a_line(told: Host, parts: list[str]) -> None:
    assert [part for part in parts if part not in host_line(told)] == []


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (drained("token:ci", running=2), "drained for 60 s by token:ci: nothing starts there, 2 agents go on;"),
        (drained("socket", running=1), "drained for 60 s: nothing starts there, 1 agent goes on;"),
        (drained(), "drained for 60 s: nothing starts there, it is empty;"),
        (Host(state=Host.STATE_DRAINING), "the host itself takes no new work, from any conductor"),
        (host(certificate_end_time=Timestamp(seconds=int(NOW) + 3600)), "its certificate ends in 1 h 00 min; make"),
        (host(certificate_end_time=Timestamp(seconds=int(NOW) - 3600)), "its certificate ended 1 h 00 min ago; make"),
    ],
)
def test_what_an_operator_has_to_know_is_told(told: Host, line: str) -> None:
    (remark,) = remarks(told, NOW)

    assert remark.startswith(line)


def test_a_certificate_that_goes_on_for_long_is_told_on_the_page_of_its_host_alone() -> None:
    told = host(version="1", snapshots=2, certificate_end_time=Timestamp(seconds=int(NOW) + 90 * 86_400))

    assert list(remarks(told, NOW)) == []
    assert list(fact_lines(told, NOW)) == [
        "agenthost 1  2 snapshots present",
        "its certificate ends in 90 d 00 h, at 1970-04-12 13:46 UTC",
    ]


def test_a_wait_for_an_empty_host_says_what_still_runs_and_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = iter([drained(running=2), drained(running=1), drained(running=1), drained()])
    monkeypatch.setattr(watching, "_look", lambda connection, name: next(looks))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    connection: Any = None
    end = watching.wait_until_empty(connection, drained(running=2))

    assert end.running == 0
    assert capsys.readouterr().err.splitlines() == ["2 agents run on alpha", "1 agent runs on alpha"]
