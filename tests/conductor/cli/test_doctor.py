"""The doctor's lines about a host that answers and needs mending. Keeps K2."""

import asyncio
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agenthost.packages.prefix import missing
from conductor.cli.commands.doctor import host_looks, model_doubts
from conductor.cli.commands.upkeep.examining import look_at_database
from conductor.cli.views.hosts import agent_lines, host_line, say_host
from conductor.cli.views.models import TO_INSTALL, agents_over, choice_line, model_facts
from conductor.store.postgresql.store import PostgresqlStore
from conductor.v1 import pool_service_pb2 as pb
from conductor.v1 import run_service_pb2

READY = pb.Host.STATE_READY


def agent(name: str, description: str, reason: str = "", *, spec_refused: bool = False) -> pb.HostAgent:
    return pb.HostAgent(
        name=name,
        description=description,
        available=not reason,
        unavailable_reason=reason,
        spec_refused=spec_refused,
    )


def test_a_spec_that_cannot_be_read_is_to_be_mended() -> None:
    broken = agent("broken", "", "bad/broken.toml: description is required", spec_refused=True)
    looks = list(host_looks(pb.Host(name="hosts/b", state=READY, agents=[agent("fine", "Does things."), broken])))

    assert [look.good for look in looks] == [True, False]
    assert looks[1].text == "the spec of agent broken on b cannot be read"
    assert looks[1].details == ("bad/broken.toml: description is required",)


def test_an_agent_whose_program_is_not_installed_is_shown_and_nothing_to_mend() -> None:
    why = "the program 'claude' was not found on PATH"
    for program in (agent("claude", "Asks a model.", why), agent("claude", "", why)):
        [look] = host_looks(pb.Host(name="hosts/b", state=READY, agents=[program]))

        assert look.good
        assert any("was not found on PATH" in line for line in look.details)


def test_a_host_that_answers_at_the_address_of_another_is_to_be_mended() -> None:
    host = pb.Host(name="hosts/a", state=READY, address="unix:/b", problem="calls itself 'b'")
    [look] = host_looks(host)

    assert not look.good
    assert host_line(host).startswith("✘")  # the same mark wherever it is shown
    assert "calls itself 'b'" in look.details
    assert not any("start it" in line for line in look.advice)


def test_a_host_that_came_back_with_another_data_folder_is_to_be_mended() -> None:
    [look] = host_looks(pb.Host(name="hosts/a", state=READY, attempts_of_earlier_instance=2))

    assert not look.good
    assert look.details == ("it came back with another data folder: 2 attempts wait for the one it had before",)
    assert look.advice == (
        "stop it, and start it with the --data folder that it had before; else these attempts are given up as lost",
    )


def test_the_line_that_starts_a_host_which_is_away_invites_no_new_folder() -> None:
    [look] = host_looks(pb.Host(name="hosts/a", state=pb.Host.STATE_DISCONNECTED, address="unix:/a"))

    assert look.advice[0] == "start it:  agenthost serve --listen unix:/a --data DIR --name a"
    assert "DIR is the folder that it had then" in look.advice[1]


def test_hosts_shows_beside_a_host_that_attempts_wait_for_its_earlier_folder(capfd: pytest.CaptureFixture[str]) -> None:
    say_host(pb.Host(name="hosts/a", state=READY, attempts_of_earlier_instance=1))

    told = capfd.readouterr().out
    assert told.startswith("✘ a")
    assert "another data folder: 1 attempt waits for the one it had before" in told


def test_a_model_that_does_not_answer_is_to_be_mended() -> None:
    models = [
        pb.HostModel(name="near", url="http://127.0.0.1:1", problem="it cannot be reached (nothing listens there)"),
        pb.HostModel(name="fine", answers=True),
        pb.HostModel(name="fresh"),  # not asked yet
    ]
    looks = list(host_looks(pb.Host(name="hosts/b", state=READY, models=models)))
    [away] = host_looks(pb.Host(name="hosts/b", state=pb.Host.STATE_DISCONNECTED, models=models))

    assert [look.good for look in looks] == [True, False]
    assert looks[1].text == "model near on b does not answer"
    assert looks[1].details == ("it cannot be reached (nothing listens there)",)
    assert "start its server at http://127.0.0.1:1" in looks[1].advice[0]
    assert not away.good


def test_all_agents_of_a_model_that_does_not_answer_have_one_mark() -> None:
    """Keeps D1: neither can work, whether it needs the model's name at its start or asks for it later."""
    reader = pb.HostAgent(name="reader", available=True, description="Answers.", model="default")
    qwen = pb.HostAgent(name="qwen", unavailable_reason="it needs the name of a model", model="default")
    rules = agent("survey", "Looks.")
    dead = pb.HostModel(name="default", url="http://127.0.0.1:1", problem="it cannot be reached")
    host = pb.Host(name="hosts/b", state=READY, agents=[reader, qwen, rules], models=[dead])
    fresh = pb.Host(name="hosts/b", state=READY, agents=[reader], models=[pb.HostModel(name="default")])

    assert [line.split()[:2] for line in agent_lines(host)] == [["✘", "reader"], ["✘", "qwen"], ["✔", "survey"]]
    assert "its model 'default' does not answer: it cannot be reached" in agent_lines(host)[0]
    assert [line.split()[0] for line in agents_over([host]) if line.startswith(" ")] == ["✘", "✘", "✔"]
    assert agent_lines(fresh)[0].split()[:2] == ["✔", "reader"]


def test_the_model_that_is_asked_of_several_is_told_with_how_to_name_another() -> None:
    def listing(*names: str, **fields: str) -> pb.HostModel:
        listed = [pb.ListedModel(name=name) for name in names]
        return pb.HostModel(name="default", api="openai", url="http://h", answers=True, listed=listed, **fields)

    several = listing("embed-small", "chat-big", usual_model="chat-big")
    assert model_facts(several).startswith("chat-big (it lists embed-small, chat-big), ")
    assert choice_line(several, "--model-name NAME") == "agents ask chat-big; to name another:  --model-name NAME"
    assert choice_line(listing("embed-small"), "--model-name NAME") == (
        "none of the models that http://h lists can chat, by their names; name one:  --model-name NAME"
    )
    assert choice_line(listing("a", usual_model="a"), "x") == ""
    assert choice_line(listing("a", "b", usual_model="a", model="b"), "x") == ""
    assert model_facts(listing("a", "b", usual_model="a", model="b")).startswith("b, ")


def test_agents_that_are_only_not_installed_take_one_line_without_a_cross() -> None:
    names = ("claude", "qwen")
    missing = [agent(name, "Asks.", "install it: agenthost agents install " + name) for name in names]
    host = pb.Host(name="hosts/b", state=READY, agents=[*missing, agent("fine", "Does things.")])
    line = "○ not installed: claude, qwen; to have one:  agenthost agents install NAME"

    assert [told.split()[:2] for told in agent_lines(host)] == [["✔", "fine"], ["○", "not"]]
    assert agent_lines(host)[-1].strip() == line
    assert agents_over([host])[-1] == line
    assert any("install it: agenthost agents install qwen" in told for told in agents_over([host], "qwen"))


def test_analyzers_that_are_not_installed_have_a_line_with_their_own_command() -> None:
    why = "install it: pip install 'conductor-agenthost[survey]', then restart the host"
    host = pb.Host(name="hosts/b", state=READY, agents=[agent(name, "Judges.", why) for name in ("ruff", "zizmor")])
    line = "○ not installed: ruff, zizmor; to have them:  pip install 'conductor-agenthost[survey]'"

    assert [told.strip() for told in agent_lines(host)] == [line]
    assert agents_over([host]) == [line]


def test_what_a_host_says_of_an_agent_that_it_could_install_is_known_to_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path))

    assert missing("claude").startswith(TO_INSTALL)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("", "small, large:latest"),
        ("small", "small"),
        ("large", "large"),  # as Ollama shortens it
        ("smal", "smal (it lists small, large:latest)"),
    ],
)
def test_a_model_that_its_server_does_not_list_is_told_beside_those_that_it_does(asked: str, told: str) -> None:
    listed = [pb.ListedModel(name="small"), pb.ListedModel(name="large:latest")]

    assert model_facts(pb.HostModel(model=asked, answers=True, listed=listed, window=4096)) == f"{told}, 4096 tokens"


@pytest.mark.parametrize(
    ("reason", "seconds_ago", "is_told"),
    [
        ("MODEL_UNREACHABLE", 20, True),
        ("AUTH_FAILED", 3500, True),
        ("MODEL_UNREACHABLE", 3700, False),
        ("STEP_TIMEOUT", 20, False),
        ("", 20, False),
    ],
)
def test_a_run_that_lately_failed_for_its_model_is_a_doubt(reason: str, seconds_ago: int, *, is_told: bool) -> None:
    run = run_service_pb2.Run(name="runs/01k", end_time=Timestamp(seconds=10_000 - seconds_ago))
    if reason:
        run.failure.MergeFrom(run_service_pb2.Failure(reason=reason, message="refused", step="runs/01k/steps/look"))
    looks = list(model_doubts(run, 10_000.0))

    assert [(look.glyph, look.is_doubt, look.good) for look in looks] == [("?", True, True)] * is_told
    for look in looks:
        assert reason in look.text
        assert look.advice[0] == "see why:  conductor show 01k look"


@pytest.mark.processes
def test_a_database_in_postgresql_is_looked_through_without_its_conductor(database: str) -> None:
    """Keeps K2: what cannot be reached, what is not this conductor's, and what the server may lose."""

    async def make() -> None:
        await (await PostgresqlStore.open(database)).close()

    asyncio.run(make())
    rows, fsync, pages, other = look_at_database(database, "another id")
    (away,) = look_at_database("postgresql://ann@127.0.0.1:9/flows", "")
    (locked,) = look_at_database("postgresql://ann:hidden@127.0.0.1:9/flows", "")

    assert rows[0]
    assert rows[1].startswith("database 't")
    assert rows[1].endswith("0 runs, every row can be read")
    assert [seen[0] for seen in (fsync, pages, other, away, locked)] == [False] * 5
    assert "fsync is off" in fsync[1]
    assert "another" not in other[1]
    assert "cannot connect to the database 'flows' at 127.0.0.1:9" in away[1]
    assert "hidden" not in str(locked)
