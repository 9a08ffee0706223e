"""Metrics of a real host, read as Prometheus reads them. Keeps K11."""

import asyncio
import re
from pathlib import Path

import pytest

from agenthost.config import load_settings
from agenthost.errors import ConfigurationError
from servicekit.addresses import Address
from tests.agenthost.running_host import open_host
from tests.docs.pages import page as documented
from tests.kit.metrics import scrape

pytestmark = pytest.mark.processes


async def test_a_scrape_counts_executions_and_tells_what_is_proven(tmp_path: Path, repository: Path) -> None:
    """Keeps K11 and K4."""
    socket = tmp_path / "m.sock"
    async with open_host(tmp_path, repository, slots=3, metrics=Address.parse(f"unix:{socket}")) as client:
        await client.run("say hello")
        async with asyncio.timeout(20):
            while (page := await scrape(socket)).value("agenthost_executions_ended_total", cause="exited") < 1:
                await asyncio.sleep(0.2)

    assert page.value("agenthost_slots") == 3
    assert page.value("agenthost_sandbox_proven") == 1
    assert page.value("agenthost_agents_proven") > 0
    assert page.value("agenthost_executions_running") == 0
    assert page.value("agenthost_execution_duration_seconds_count") == 1
    assert page.value("agenthost_snapshots") == 1
    assert page.value("agenthost_disk_free_bytes") > 0
    assert page.value("process_resident_memory_bytes") > 0
    assert not [name for name in page.families if not re.fullmatch(r"(agenthost|process)_[a-z_]+", name)]
    labels = {value for _, labels in page.samples for _, value in labels}
    assert not {label for label in labels if "look" in label or "/" in label}
    rows = documented("monitoring").table("Metrics of a host")
    there = {f"{family.name}_total" if family.type == "counter" else family.name for family in page.families.values()}
    assert {name.strip("`") for name, *_ in rows} == {name for name in there if not name.startswith("process_")}


def test_the_address_is_a_flag_or_stands_in_the_file(tmp_path: Path) -> None:
    given = {"listen": "127.0.0.1:0", "data": str(tmp_path), "name": "alpha"}
    file = tmp_path / "host.toml"
    file.write_text('[metrics]\nlisten = "127.0.0.1:9465"\n')

    assert load_settings(None, given).metrics is None
    assert load_settings(file, given).metrics == Address.parse("127.0.0.1:9465")
    assert load_settings(file, {**given, "metrics": "127.0.0.1:1"}).metrics == Address.parse("127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"metrics.listen: '0.0.0.0:1' reaches beyond this machine"):
        load_settings(None, {**given, "metrics": "0.0.0.0:1"})
