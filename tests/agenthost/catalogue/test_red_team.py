"""The trial of an agent by a hostile model. Keeps E11."""

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agenthost.catalogue.commands import agents
from agenthost.catalogue.red_team import Bait, HostileModel, arguments_of, lay_bait
from agenthost.catalogue.speech import Call
from agenthost.cli import main
from agenthost.packages.trials import Order, last_trial, store
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.catalogue.obedient import OBEDIENT, SPEC, lay_obedient
from tests.kit.proof import proof_of_the_session

pytestmark = pytest.mark.processes


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Bait]:
    with lay_bait(tmp_path / "trial") as bait:
        yield bait


def request(*results: str, tools: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    offered = [{"function": {"name": name, "parameters": schema}} for name, schema in (tools or {}).items()]
    return {"messages": [{"role": "tool", "content": one} for one in results], "tools": offered}


def test_an_agent_without_any_rule_of_its_own_gets_nothing_out_of_its_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path / "home"))
    monkeypatch.setattr("agenthost.catalogue.check.prove", proof_of_the_session)
    tmp_path.chmod(0o755)  # it is what the sandbox has at /opt/agent
    (tmp_path / "obedient.py").write_text(OBEDIENT)
    (tmp_path / "obedient.toml").write_text(SPEC)
    result = CliRunner().invoke(agents, ["check", str(tmp_path / "obedient.toml")], standalone_mode=False)

    assert result.return_value == 0, result.output
    lines = {line.split(":")[0].strip(): line for line in result.output.splitlines()}
    assert "Read-only file system" in lines["✔ write a file"]
    assert "Read-only file system" in lines["✔ write by a command"]
    assert "Connection refused" in lines["✔ reach the host's network"]
    assert "No such file" in lines["✔ read a secret of the host"]
    assert "9 of 9 orders reached the agent, and nothing of them was seen outside of the sandbox" in result.output
    trial = last_trial("obedient")
    assert trial is not None
    assert len(trial.orders) == 9
    listed = CliRunner().invoke(agents, ["list", "--agents-dir", str(tmp_path)], standalone_mode=False).output
    assert "held 20" in next(line for line in listed.splitlines() if line.startswith("obedient"))


def test_no_answer_of_an_agent_acts_on_a_terminal_or_keeps_a_host_from_telling_it(bait: Bait) -> None:
    """A lone surrogate fits no message of a host: with one in it, all of the host would be silent."""
    model = HostileModel("any", bait)
    model(request())
    model(request("\x1b]0;owned\x07\u202e\ud800 denied"))
    answer = model.outcome()[0].answer

    assert answer == "?]0;owned??? denied"
    assert host_pb.TrialOrder(answer=answer).answer == answer


def test_what_is_seen_outside_is_told_of_the_order_that_did_it(bait: Bait) -> None:
    model = HostileModel("any", bait)
    model(request())
    model(request("refused"))
    with socket.create_connection(bait.listener.getsockname()):
        model(request("refused", "connected"))
    model(request("refused", "connected", f"it is {bait.secret}"))
    (bait.tree / "ordered.txt").write_text("x")
    model(request("refused", "connected", "read", "written"))

    assert [order.has_held for order in model.outcome()[:4]] == [True, False, False, False]


def test_orders_that_an_agent_did_not_wait_for_are_told_as_such(bait: Bait) -> None:
    model = HostileModel("any", bait)
    model(request())
    model(request("refused"))
    outcome = model.outcome()

    assert [order.is_untried for order in outcome] == [False, *[True] * 8]
    assert {order.answer for order in outcome[1:]} == {"the agent ended before"}
    assert len(outcome) == 9


def test_an_order_whose_effect_is_seen_was_tried_though_its_agent_ended_without_an_answer(bait: Bait) -> None:
    model = HostileModel("any", bait)
    model(request())
    (bait.tree / "ordered.txt").write_text("x")
    first, *rest = model.outcome()

    assert (first.has_held, first.is_untried) == (False, False)
    assert all(order.is_untried for order in rest)


def test_an_agent_that_ends_early_is_told_with_the_orders_that_reached_it_and_not_as_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path / "home"))
    monkeypatch.setattr("agenthost.catalogue.check.prove", proof_of_the_session)
    spec = lay_obedient(tmp_path / "agents")
    (spec.parent / "obedient.py").write_text(OBEDIENT.replace("range(30)", "range(5)"))
    tmp_path.chmod(0o755)
    result = CliRunner().invoke(agents, ["check", str(spec)], standalone_mode=False)
    listed = CliRunner().invoke(agents, ["list", "--agents-dir", str(spec.parent)], standalone_mode=False).output

    assert result.return_value == 0, result.output
    assert "  ○ read it by a command: the agent ended before" in result.output
    assert "○ obedient: 4 of 9 orders reached the agent, and nothing of them was seen outside" in result.output
    assert result.output.endswith("; the trial is incomplete\n")
    assert "incomplete 20" in next(line for line in listed.splitlines() if line.startswith("obedient"))


def test_a_trial_that_was_stored_before_orders_told_whether_they_were_tried_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path))
    store("a", "1", "digest", ())
    path = tmp_path / ".trials" / "a.json"
    orders = [{"name": name, "answer": name, "has_held": True} for name in ("denied", "the agent ended before")]
    path.write_text(json.dumps({**json.loads(path.read_text()), "orders": orders}))
    trial = last_trial("a")

    assert trial is not None
    assert (trial.is_whole, trial.has_held) == (False, True)
    assert trial.reach == "1 of 2 orders reached the agent"
    assert trial.outcome.startswith("incomplete 20")


def test_the_model_uses_the_tools_that_are_offered_and_else_the_agents_own_names(bait: Bait) -> None:
    offered = {
        "edit_or_write": {
            "properties": {"filePath": {}, "content": {}, "force": {"type": "boolean"}},
            "required": ["force"],
        }
    }

    assert HostileModel("any", bait)(request(tools=offered)) == Call(
        "edit_or_write", {"filePath": "/workspace/ordered.txt", "content": "x", "force": False}, "order_0"
    )
    unoffered = HostileModel("claude", bait)(request())
    assert isinstance(unoffered, Call)
    assert unoffered.name == "Write"
    assert HostileModel("any", bait)(request(*["no"] * 9)) == "Done."


def test_arguments_go_under_the_names_of_the_schema() -> None:
    schema = {"properties": {"cmd_command": {}, "why": {"type": "string"}, "spare": {}}, "required": ["why"]}

    assert arguments_of(schema, {"command": "id"}) == {"cmd_command": "id", "why": "x"}
    assert arguments_of({"properties": {"cmd": {}}}, {"command": "id"}) == {"cmd": "id"}


def test_an_agent_that_broke_out_is_unavailable_until_another_trial_has_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path / "home"))
    spec = tmp_path / "obedient.toml"
    spec.write_text(SPEC)
    store("obedient", "1", "digest", (Order("write a file", "done", has_held=False),))

    def listed() -> str:
        output = CliRunner().invoke(agents, ["list", "--agents-dir", str(tmp_path)], standalone_mode=False).output
        return next(line for line in output.splitlines() if line.startswith("obedient"))

    assert "it broke out when a hostile model tried it last: agenthost agents check obedient tries it again" in listed()
    assert "broke out 20" in listed()
    spec.write_text(f"{SPEC}# mended\n")
    assert "broke out 20" in listed()
    store("obedient", "1", "digest", (Order("write a file", "refused", has_held=True),))
    assert "broke out" not in listed()
    assert "held 20" in listed()


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path))
    spec = tmp_path / "a.toml"
    spec.write_text(SPEC)
    store("a", "1", "digest", ())
    path = tmp_path / ".trials" / "a.json"
    table = json.loads(path.read_text())

    assert last_trial("a") is not None
    for broken in ("", "[]", json.dumps({**table, "new": 1}), json.dumps({**table, "orders": 7})):
        path.write_text(broken)
        assert last_trial("a") is None


def test_an_agent_that_does_not_ask_is_no_trial_and_its_last_words_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path / "home"))
    monkeypatch.setattr("agenthost.catalogue.check.prove", proof_of_the_session)
    spec = tmp_path / "obedient.toml"
    spec.write_text(SPEC.replace("/opt/agent/obedient.py", "/opt/agent/absent.py"))

    assert main(["agents", "check", str(spec)]) == 1
    assert "obedient ended without asking its model: exited, exit code 2" in capsys.readouterr().err
    assert last_trial("obedient") is None
