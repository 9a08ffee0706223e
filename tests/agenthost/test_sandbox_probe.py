from pathlib import Path

from agenthost.sandbox_probe import prove_host


async def test_this_machines_sandbox_is_proven_by_trying(tmp_path: Path) -> None:
    """Keeps E6."""
    sandbox, report = await prove_host(tmp_path)
    assert [probe for probe in report.probes if not probe.passed] == []
    assert (report.available, report.reason) == (True, "")
    assert report.mechanism.startswith("bubblewrap ")
    assert len(report.probes) >= 40
    assert sandbox is not None
    assert list((tmp_path / "probes").iterdir()) == []
