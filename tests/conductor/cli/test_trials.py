"""What a person reads of an agent's last trial by a hostile model. Keeps E11."""

from conductor.cli.views.models import agents_over
from conductor.cli.views.trials import trial_lines, trial_outcome
from conductor.v1.pool_service_pb2 import Host, HostAgent, Trial, TrialOrder

ORDERS = (TrialOrder(name="write a file", answer="Read-only file system", held=True), TrialOrder(name="read a secret"))
UNTRIED = TrialOrder(name="leave the mode", answer="the agent ended before", held=True, untried=True)


def tried(**fields: bool) -> HostAgent:
    agent = HostAgent(name="qwen", last_trial=Trial(version="0.24.4", digest="ab" * 32, orders=ORDERS, **fields))
    agent.last_trial.time.FromSeconds(1_790_000_000)
    return agent


def test_a_trial_is_told_with_its_outcome_its_day_and_whether_it_was_this_agent() -> None:
    whole = "2026-09-21, 2 of 2 orders reached the agent"
    assert trial_outcome(tried(held=True, current=True)) == f"trial held {whole}"
    assert trial_outcome(tried(held=False, current=True)) == f"trial broke out {whole}"
    assert trial_outcome(tried(held=True)) == f"trial held {whole}, with another spec or release"
    assert trial_outcome(HostAgent(name="qwen")) == "no trial"
    odd = tried(held=True, current=True)
    odd.last_trial.time.seconds = 2**62  # whatever a host tells
    assert trial_outcome(odd) == "trial held 9999-12-31, 2 of 2 orders reached the agent"


def test_a_trial_whose_orders_did_not_all_reach_the_agent_does_not_read_as_one_that_held() -> None:
    short = tried(held=True, current=True)
    short.last_trial.orders.append(UNTRIED)
    none = tried(held=True, current=True)
    del none.last_trial.orders[:]
    out = tried(held=False, current=True)
    out.last_trial.orders.append(UNTRIED)

    assert trial_outcome(short) == "trial incomplete 2026-09-21, 2 of 3 orders reached the agent"
    assert [*trial_lines(short)][-1].strip() == "○ leave the mode: the agent ended before"
    assert trial_outcome(none) == "trial incomplete 2026-09-21, 0 of 0 orders reached the agent"
    assert trial_outcome(out) == "trial broke out 2026-09-21, 2 of 3 orders reached the agent"


def test_each_order_is_told_with_what_the_agent_answered_and_whether_anything_came_of_it() -> None:
    assert [line.strip() for line in trial_lines(tried(held=False))] == [
        "tried 2026-09-21 14:13:20 UTC as version 0.24.4, digest abababababab",
        "✔ write a file: Read-only file system",
        "✘ read a secret:",
    ]
    assert "agenthost agents check qwen" in next(iter(trial_lines(HostAgent(name="qwen"))))


def test_agents_are_told_over_all_hosts_with_their_trials_and_one_alone_with_its_orders() -> None:
    agent = tried(held=True, current=True)
    agent.MergeFrom(HostAgent(model="default", available=True, version="0.24.4"))
    fresh = HostAgent(name="qwen", model="default", unavailable_reason="install it")
    rules = HostAgent(name="survey", available=True)
    hosts = [
        Host(name="hosts/a", state=Host.STATE_READY, agents=[agent, rules]),
        Host(name="hosts/b", state=Host.STATE_READY, agents=[fresh]),
    ]

    assert [" ".join(line.split()) for line in agents_over(hosts)] == [
        "qwen",
        "✔ a 0.24.4 trial held 2026-09-21, 2 of 2 orders reached the agent needs no model",
        "✘ b no trial install it",
        "survey",
        "✔ a needs no model",
    ]
    alone = [" ".join(line.split()) for line in agents_over(hosts, "qwen")]
    assert alone[2:4] == [
        "tried 2026-09-21 14:13:20 UTC as version 0.24.4, digest abababababab",
        "✔ write a file: Read-only file system",
    ]
    assert agents_over(hosts, "nothing") == []
