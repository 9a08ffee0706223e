"""Three hosts and a conductor on machines of their own, a network between them that fails, and people at a laptop.

Keeps J2, J5 and K3 over a network, and the promises: nothing is lost, nothing runs twice.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.wire import CLEAR, Condition
from tests.kit.repositories import UserRepository
from tests.kit.waiting import wait_until
from tests.lan.network import NetworkRefusedError
from tests.lan.pool import ADDRESSES, HOST_PORT, HOSTS, LAPTOP, Pool, running_pool, states_of

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(300)]

CUT_SECONDS = 60.0
SLOW = Condition(loss=0.01, repeats=0.005, delay_seconds=0.01, jitter_seconds=0.005)
LENSES = ("hotspots", "structure", "risks", "tests", "docs", "all")
WORDS = 40
SECONDS_ON_THE_WAY = 1.0  # an attempt that was created before the drain may still be on its way
FILES = {
    "docs/guide.md": "See [the rest](missing.md).\n",
    "src/job.py": "# TODO: mend\ndef run(text):\n    return eval(text)\n",
}
NEW_ADDRESS = "10.77.0.23"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    try:
        with running_pool(tmp_path_factory.mktemp("lan"), "lan") as running:
            yield running
    except NetworkRefusedError as refused:
        pytest.skip(f"this machine makes no networks: {refused}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository on the laptop."""
    return UserRepository.make(tmp_path_factory.mktemp("laptop") / "app", **FILES).folder


def flow_file(folder: Path) -> Path:
    """A flow of 24 steps of the agent `survey`, and of six agents that write words for long."""
    steps = [
        {
            "id": f"look{number}",
            "agent": {
                "agents": ["survey"],
                "parameters": {"lens": LENSES[number % len(LENSES)]},
                "prompt": "What matters?",
            },
        }
        for number in range(24)
    ]
    said = "\n".join(line for word in range(WORDS) for line in (f"say {word}", "sleep 0.5"))
    steps += [
        {"id": f"talk{number}", "priority": 5, "agent": {"agents": ["scripted"], "prompt": f"#scripted\n{said}"}}
        for number in range(6)
    ]
    path = folder / "survey24.yaml"
    path.write_text(json.dumps({"title": "A survey of 24 steps", "steps": steps}))
    return path


def test_a_survey_of_24_steps_survives_a_network_that_fails(pool: Pool, repository: Path, tmp_path: Path) -> None:
    """Packets are lost and late, a host is cut off for a minute, another moves, the third is drained."""
    for machine in ADDRESSES:
        pool.network.set_condition(machine, SLOW)
    run = pool.call("run", str(flow_file(tmp_path)), str(repository), "--detach").split()[0]
    wait_until(lambda: all(pool.spawned(run).values()), 60)
    pool.network.plug("beta", is_plugged=False)
    cut = time.monotonic()
    pool.network.move("gamma", NEW_ADDRESS)
    pool.call("hosts", "add", "gamma", f"{NEW_ADDRESS}:{HOST_PORT}", "--move")
    pool.call("hosts", "drain", "alpha")
    time.sleep(2 * SECONDS_ON_THE_WAY)
    at_alpha = pool.spawned(run)["alpha"]
    wait_until(lambda: states_of(pool)["beta"] == "STATE_DISCONNECTED", 30)
    time.sleep(max(0.0, cut + CUT_SECONDS - time.monotonic()))
    pool.network.plug("beta", is_plugged=True)
    pool.network.set_condition(LAPTOP, CLEAR)
    told = pool.call("watch", run)

    spawned = pool.spawned(run)
    every = [attempt for host in HOSTS for attempt in spawned[host]]
    assert "succeeded" in told
    assert len(every) == len(set(every)) == 30
    assert set(spawned["alpha"]) - set(at_alpha) == set()
    assert all(len(attempts) >= 2 for attempts in spawned.values())
    for number in range(6):
        words = pool.call("output", run, f"talk{number}").split()
        assert words == [str(word) for word in range(WORDS)]
    assert states_of(pool) == dict.fromkeys(HOSTS, "STATE_READY")
    assert "drained" in pool.call("hosts", "alpha")
    pool.call("hosts", "undrain", "alpha")


def test_a_laptop_hears_each_word_once_though_its_cable_is_pulled_and_services_are_killed(
    pool: Pool, repository: Path, tmp_path: Path
) -> None:
    said = "\n".join(line for word in range(WORDS) for line in (f"say {word}", "sleep 0.4"))
    path = tmp_path / "talk.yaml"
    path.write_text(
        json.dumps({"steps": [{"id": "talk", "agent": {"agents": ["scripted"], "prompt": f"#scripted\n{said}"}}]})
    )
    run = pool.call("run", str(path), str(repository), "--detach").split()[0]
    wait_until(lambda: any(pool.spawned(run).values()))
    (host,) = (name for name, attempts in pool.spawned(run).items() if attempts)
    reading = pool.begin("output", run, "talk", "--follow")
    pool.network.plug(LAPTOP, is_plugged=False)
    time.sleep(4)
    pool.kill(host)
    pool.start_host(host)
    pool.network.plug(LAPTOP, is_plugged=True)
    pool.kill("conductor")
    pool.start_conductor()
    printed, complaints = reading.communicate(timeout=120)

    assert printed.split() == [str(word) for word in range(WORDS)], complaints
    assert [len(attempts) for attempts in pool.spawned(run).values() if attempts] == [1]
