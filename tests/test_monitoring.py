"""The dashboard for Grafana and the alerts for Prometheus: they ask only for metrics that there are. Keeps K11."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, page

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "conductor.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
ALERTS = [rule["expr"] for rule in RULES if not rule["expr"].startswith("up{")]
# Of the library's collector of the process.
OF_PROCESSES = {"process_resident_memory_bytes": set[str](), "process_cpu_seconds_total": set[str]()}
_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def documented() -> dict[str, set[str]]:
    """Returns the labels of each metric, which other tests compare with real pages."""
    rows = [*page("monitoring").table("Metrics of a conductor"), *page("monitoring").table("Metrics of a host")]
    return {name.strip("`"): set(re.findall(r"`(\w+)`", labels)) for name, labels, _ in rows} | OF_PROCESSES


@pytest.mark.parametrize("queries", [QUERIES, ALERTS], ids=["dashboard", "alerts"])
def test_only_metrics_that_there_are_are_asked_for_by_labels_that_they_have(queries: list[str]) -> None:
    known = documented()
    for query in queries:
        names = {_HISTOGRAM.sub("", name) for name in re.findall(r"\b(?:conductor|agenthost|process)_[a-z_]+\b", query)}
        assert names <= set(known), query
        labels = set[str]().union(*(known[name] for name in names)) | {"job", "instance", "le"}
        grouped = {label.strip() for group in re.findall(r"by \(([^)]+)\)", query) for label in group.split(",")}
        chosen = set(re.findall(r"[{,](\w+)(?:=|!=|=~|!~)\"", query))
        assert grouped | chosen <= labels, query


def test_legends_name_labels_that_their_query_keeps() -> None:
    for panel in PANELS:
        for target in panel.get("targets", ()):
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert label in target["expr"] or label in {"job", "instance"}, target


def test_its_panels_have_ids_of_their_own_and_do_not_lie_on_each_other() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, two in combinations([panel["gridPos"] for panel in PANELS], 2):
        is_beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert is_beside or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]


def test_every_part_of_the_pool_has_a_panel() -> None:
    asked = " ".join(QUERIES)

    for part in ("runs_ended", "steps_ended", "attempts_ended", "queue_seconds", "model_tokens", "request_duration"):
        assert part in asked
    for part in ("commit_seconds", "event_loop_lag", "sandbox_proofs", "conductor_hosts", "database_bytes"):
        assert part in asked


def test_the_samples_ask_both_services_on_this_machine_and_on_others() -> None:
    local, remote = (yaml.safe_load(page("monitoring").block(f"yaml {name}.yml")) for name in ("prometheus", "remote"))

    for sample in (local, remote):
        assert [job["job_name"] for job in sample["scrape_configs"]] == ["conductor", "agenthost"]
    assert all(job["scheme"] == "https" and "cert_file" in job["tls_config"] for job in remote["scrape_configs"])


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool (Debian: apt install prometheus)")
def test_promtool_accepts_the_alerts_the_dashboards_queries_and_the_sample(tmp_path: Path) -> None:
    variables = {"$__rate_interval": "1m", "$conductor": ".+", "$agenthost": ".+"}
    queries = [re.sub(r"\$\w+", lambda found: variables[found[0]], query) for query in QUERIES]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    (tmp_path / "prometheus.yml").write_text(page("monitoring").block("yaml prometheus.yml"))
    alerts = str(ROOT / "deploy" / "prometheus" / "alerts.yml")
    for command in (["rules", alerts, "rules.yml"], ["config", "prometheus.yml"]):
        done = subprocess.run(
            ["promtool", "check", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
