"""Every command against a real pair, as a script or a person without a terminal meets it. Keeps K2 K5."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.flows import plain_workspace
from tests.kit.services import Pair, running_pair
from tests.kit.waiting import wait_until

Command = Callable[..., subprocess.CompletedProcess[str]]
FLOW = """
title: Two steps
steps:
  - id: reads
    agent: {agents: [scripted], prompt: "#scripted\\nsay I read\\nfinding low readme.txt 2 2 A line\\nstderr grumble"}
  - id: fails
    on_failure: ON_FAILURE_CONTINUE
    agent: {agents: [scripted], prompt: "#scripted\\nsay oh\\nexit 3"}
  - id: merged
    label: All of it
    needs: [reads, fails]
    fold: {merge: {}}
"""
HANGING = (
    'title: Hangs\nsteps:\n  - id: hangs\n    agent: {agents: [scripted], prompt: "#scripted\\nsay begin\\nhang"}\n'
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "config" / "conductor" / "flows").mkdir(parents=True)
    (folder / "config" / "conductor" / "flows" / "broken.yaml").write_text("title: Broken\nstep: []\n")
    with running_pair(folder, hosts=("alpha",)) as running:
        yield running


@pytest.fixture(scope="module")
def conductor(pair: Pair) -> Command:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "conductor.cli", *arguments]
        environment = {**os.environ, "CONDUCTOR_ADDRESS": pair.address}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture(scope="module")
def run(pair: Pair, conductor: Command) -> str:
    """The id of a run that has ended, with a step that did well and one that failed."""
    flow = pair.folder / "two.yaml"
    flow.write_text(FLOW)
    done = conductor("run", str(flow), str(plain_workspace(pair.folder / "w")))
    assert done.returncode == 0, done.stderr
    assert "# Two steps" in done.stdout
    assert "✔ reads  succeeded  scripted on alpha" in done.stderr
    assert "reads ▸ low  A line  readme.txt:2  verified" in done.stderr
    return str(json.loads(conductor("--output", "json", "runs").stdout.splitlines()[0])["name"]).removeprefix("runs/")


def test_runs_lists_it_with_its_findings(run: str, conductor: Command) -> None:
    assert f"✔ {run}  succeeded" in conductor("runs").stdout
    assert "1 finding, verified" in conductor("runs", "--flow", "two").stdout
    assert conductor("runs", "--state", "failed").stdout == ""


@pytest.mark.parametrize("given", [str, lambda run: f"runs/{run}", lambda run: run[:10], lambda run: run[-6:].upper()])
def test_a_run_is_found_by_its_name_its_id_or_a_part_of_it(
    given: Callable[[str], str], run: str, conductor: Command
) -> None:
    shown = conductor("show", given(run))

    assert f"run        runs/{run}" in shown.stdout
    assert f"conductor report {run}" in shown.stderr


def test_a_step_is_shown_with_how_it_ended_what_it_was_asked_and_what_it_said(run: str, conductor: Command) -> None:
    failed = conductor("show", run, "fails")

    assert "exit code 3\n    AGENT_EXIT_NONZERO: The agent exited with code 3." in failed.stdout
    assert "confined by bubblewrap" in failed.stdout
    assert "--- prompt ---\n#scripted" in failed.stdout
    assert "--- answer ---\noh" in failed.stdout
    assert f"conductor output {run} fails --channel log" in failed.stderr


def test_the_report_comes_as_markdown_and_as_json(run: str, conductor: Command) -> None:
    assert conductor("report", run).stdout.startswith("# Two steps")
    assert json.loads(conductor("report", run, "--format", "json").stdout)["findings"]


def test_the_report_comes_in_other_forms_on_stdout_or_into_a_file(run: str, conductor: Command, tmp_path: Path) -> None:
    """Keeps F6."""
    assert conductor("report", run, "--format", "html").stdout.startswith("<!doctype html>")
    assert conductor("report", "last", "--format", "sarif", "-o", str(tmp_path / "file")).stdout == ""
    assert json.loads((tmp_path / "file").read_text())["version"] == "2.1.0"
    refused = conductor("report", run, "--format", "junit", "-o", str(tmp_path / "none" / "file"))
    assert (refused.returncode, "cannot write" in refused.stderr) == (1, True)


def test_output_is_read_by_channel_and_by_offset(run: str, conductor: Command) -> None:
    assert conductor("output", run, "reads").stdout == "I read\n"
    assert conductor("output", run, "reads", "--offset", "2", "--follow").stdout == "read\n"
    assert conductor("output", run, "reads", "--channel", "log").stdout == "grumble\n"


def test_where_nothing_was_said_only_what_holds_something_is_named(run: str, conductor: Command) -> None:
    silent, folded = conductor("output", run, "reads", "--channel", "reasoning"), conductor("output", run, "merged")
    behind = conductor("output", run, "reads", "--offset", "7")

    assert silent.stderr.splitlines()[0] == "nothing was said: channel reasoning"
    assert f"on channel log:  conductor output {run} reads --channel log" in silent.stderr
    assert "so far" not in silent.stderr + folded.stderr
    assert "on channel" not in folded.stderr
    assert f"its answer:  conductor show {run} merged" in folded.stderr
    assert f"what stands before:  conductor output {run} reads --channel answer" in behind.stderr


def test_what_failed_runs_again_and_the_rest_is_kept(run: str, conductor: Command) -> None:
    """Keeps B9: the agent that did well is asked nothing, and its finding is in the new run's report."""
    done = conductor("retry", run, "--failed")
    again = str(json.loads(conductor("--output", "json", "runs").stdout.splitlines()[0])["name"]).removeprefix("runs/")
    shown = json.loads(conductor("--output", "json", "show", again).stdout)

    assert done.returncode == 0, done.stderr
    assert f"retries {run} as {again}\n  kept:  reads\n  again: fails, merged" in done.stderr
    assert f"Kept from run `{run}`: reads" in done.stdout
    assert "A line" in done.stdout
    assert shown["retryOf"] == f"runs/{run}"
    assert [step.get("reusedFrom", "") for step in shown["steps"]] == [f"runs/{run}/steps/reads", "", ""]
    assert conductor("delete", again, "--yes").returncode == 0


def test_a_plan_is_shown_before_the_run_and_binds_it(pair: Pair, conductor: Command) -> None:
    """Keeps B15, and of B16 rerun, `last` and titles; of B6 the filters by workspace and time."""
    workspace, flow = plain_workspace(pair.folder / "planned"), str(pair.folder / "two.yaml")
    (pair.folder / "two.yaml").write_text(FLOW)
    shown = conductor("plan", flow, str(workspace), "--prompts")
    plan_hash = shown.stdout.partition("plan hash  ")[2].split()[0]
    (pair.folder / "far.yaml").write_text("steps: [{id: a, agent: {agents: [nobody], prompt: x}}]")
    far = conductor("run", str(pair.folder / "far.yaml"), str(workspace), "--local-only")
    stale = conductor("run", flow, str(workspace), "--plan-hash", "0" * 64)
    done = conductor(
        "run",
        flow,
        str(workspace),
        "--local-only",
        "--plan-hash",
        plan_hash,
        "--title",
        "As planned",
        "--label",
        "by=plan",
    )
    listed = conductor("runs", "--workspace", str(workspace), "--after", "1h", "--label", "by=plan").stdout
    elsewhere = conductor("runs", "--workspace", str(pair.folder), "--before", "1w")
    again = conductor("rerun", "last", "--detach")

    assert "  · reads  scripted on alpha" in shown.stdout
    assert "  · merged  fold\n  requests   at least 2, one for each agent" in shown.stdout
    assert "  code       stays on this machine" in shown.stdout
    assert "--- reads ---\n#scripted" in shown.stdout
    assert stale.returncode == 2
    assert "PLAN_STALE" in stale.stderr
    assert "conductor plan FLOW PATH" in stale.stderr
    assert far.returncode == 2
    assert "--local-only: the code may go anywhere: no connected host has the agents of a; nothing" in far.stderr
    assert done.returncode == 0, done.stderr
    assert "“As planned”" in listed
    assert listed.count("\n") == 1
    assert (elsewhere.stdout, elsewhere.returncode) == ("", 0)
    assert again.returncode == 2
    assert "was made of a file" in again.stderr
    assert conductor("delete", "last", "--yes").returncode == 0


@pytest.mark.long
def test_the_same_is_asked_again_of_the_present_tree(pair: Pair, conductor: Command) -> None:
    """Keeps B16."""
    workspace = plain_workspace(pair.folder / "again")
    first = conductor(
        "run", "survey", str(workspace), "--label", "by=rerun", "--title", "Twice", "--detach"
    ).stdout.strip()
    conductor("watch", first)
    (workspace / "new.txt").write_text("new\n")
    done = conductor("rerun", first[-6:])
    both = [
        json.loads(line) for line in conductor("--output", "json", "runs", "--label", "by=rerun").stdout.splitlines()
    ]

    assert done.returncode == 0, done.stderr
    assert [one["title"] for one in both] == ["Twice", "Twice"]
    assert both[0]["snapshot"]["commit"] != both[1]["snapshot"]["commit"]
    assert conductor("delete", *(one["name"] for one in both), "--yes").returncode == 0


def test_a_step_goes_by_its_id_and_its_label_and_both_are_shown(run: str, conductor: Command) -> None:
    shown, by_label = conductor("show", run), conductor("show", run, "all of it")
    unknown = [conductor("show", run, "Documentation"), conductor("output", run, "a b")]

    assert "  ✔ merged  All of it  succeeded" in shown.stdout
    assert "✔ merged  All of it  succeeded" in by_label.stdout
    assert {done.returncode for done in unknown} == {2}
    assert all("the run has reads, fails, merged (All of it)" in done.stderr for done in unknown)


def test_a_run_is_shown_with_its_date_and_its_effort(run: str, conductor: Command) -> None:
    date = r"20\d\d-\d\d-\d\d \d\d:\d\d"

    assert re.search(rf"asked for  {date}:\d\d \S+ by loopback, band small\n", conductor("show", run).stdout)
    assert re.search(rf"succeeded   {date} \S+  two ", conductor("runs").stdout)


def test_watch_tells_an_ended_run_from_its_beginning_and_json_is_one_message_a_line(
    run: str, conductor: Command
) -> None:
    told = [json.loads(line) for line in conductor("--output", "json", "watch", run).stdout.splitlines()]

    assert told[0]["run"]["name"] == f"runs/{run}"
    assert told[-1]["run"]["state"] == "STATE_SUCCEEDED"
    again = conductor("--output", "json", "watch", run, "--token", told[-2]["resumeToken"])
    assert json.loads(again.stdout.splitlines()[-1])["run"]["state"] == "STATE_SUCCEEDED"


def test_a_run_that_failed_says_why_and_what_answers_more_and_shows_no_traceback(
    pair: Pair, conductor: Command, run: str
) -> None:
    flow = pair.folder / "failing.yaml"
    scenario = "#scripted\\nfinding low no/such.py 1 1 A line"
    flow.write_text(f'title: F\nsteps:\n  - id: looks\n    agent: {{agents: [scripted], prompt: "{scenario}"}}\n')
    failed = conductor("run", str(flow), str(pair.folder / "w"))
    name = conductor("runs", "--state", "failed").stdout.split()[1]
    logged = conductor("output", name, "looks", "--channel", "log")
    report = conductor("report", name).stdout
    conductor("delete", name)  # the other tests know of one run

    assert failed.returncode == 1
    assert f"why it failed:     conductor show {name} looks\n" in failed.stderr
    assert f"what it logged:    conductor output {name} looks --channel log\n" in failed.stderr
    assert logged.stdout == "cannot do `finding low no/such.py 1 1 A line`: No such file or directory\n"
    assert "UTC by loopback; its last step ended " in report


def test_a_cancelled_run_is_exit_code_3_and_cannot_be_cancelled_again(pair: Pair, conductor: Command, run: str) -> None:
    flow = pair.folder / "hangs.yaml"
    flow.write_text(HANGING)
    name = conductor("run", str(flow), str(pair.folder / "w"), "--detach").stdout.strip()
    cancelled = conductor("cancel", name)

    assert cancelled.returncode == 0
    assert conductor("watch", name).returncode == 3
    again = conductor("cancel", name)
    assert again.returncode == 2
    assert f"conductor show {name.removeprefix('runs/')}" in again.stderr


def test_a_file_brings_its_personas_and_contracts_to_a_conductor_that_has_none_of_them(
    pair: Pair, conductor: Command
) -> None:
    """Keeps A12."""
    project = pair.folder / "its-project"
    for kind, name, text in (
        ("personas", "doubter", "---\nname: x\n---\nDoubt it."),
        ("contracts", "brief", "Be brief."),
    ):
        (project / ".conductor" / kind).mkdir(parents=True)
        (project / ".conductor" / kind / f"{name}.md").write_text(text)
    flow, elsewhere = project / "debt.yaml", pair.folder / "elsewhere.yaml"
    flow.write_text(
        "steps:\n  - id: a\n    agent:\n      agents: [scripted]\n      prompt: say x\n"
        "      persona: doubter\n      contracts: [brief, read_only]\n  - id: b\n    flow: {flow: parts/own}\n"
    )
    (project / ".conductor/flows/parts").mkdir(parents=True)
    (project / ".conductor/flows/parts/own.yaml").write_text("steps: [{id: c, fold: {template: x}}]\n")
    elsewhere.write_text(flow.read_text())
    ran, checked = conductor("run", str(flow), str(pair.folder), "--detach"), conductor("validate", str(flow))
    also = conductor("run", str(elsewhere), str(pair.folder), "--detach", "--project", str(project))
    refused = conductor("run", str(elsewhere), str(pair.folder))
    prompt = conductor("show", ran.stdout.strip(), "a").stdout

    assert (ran.returncode, also.returncode, checked.returncode) == (0, 0, 0), ran.stderr
    assert "Doubt it." in prompt
    assert "Be brief." in prompt
    assert "name: x" not in prompt
    assert f"personas and contracts are looked up in {project}" in checked.stderr
    assert refused.returncode == 2
    assert f"{elsewhere}:6: steps[0].agent.persona: there is no persona 'doubter'" in refused.stderr
    assert "conductor serve --project DIR" in refused.stderr


def test_hosts_and_flows_are_listed_and_shown(conductor: Command) -> None:
    assert "✔ alpha" in conductor("hosts").stdout
    assert "✔ survey" in conductor("hosts", "alpha").stdout
    assert "Survey of a codebase" in conductor("flows").stdout
    assert conductor("flows", "survey").stdout.endswith("conductor run survey PATH\n")
    assert 'conductor run ask PATH --question "…"' in conductor("flows", "ask").stdout


def test_a_file_that_is_no_flow_is_told_once_with_how_to_see_more(conductor: Command) -> None:
    told = conductor("flows").stderr

    assert told.count("cannot be run") == 1
    assert "conductor validate " in told


def test_doctor_shows_what_is_good_and_what_to_mend(conductor: Command) -> None:
    done = conductor("doctor")

    assert done.returncode == 1
    assert "✔ 1 host configured" in done.stdout
    assert "✔ alpha         ready" in done.stdout
    assert "broken.yaml cannot be run" in done.stdout
    assert "1 thing to mend; then try again:  conductor doctor" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("run", "nothing", "."), 2, "conductor flows"),
        (("run", "nothing", "."), 2, "conductor serve --project DIR"),
        (("flows", "nothing"), 2, "conductor flows"),
        (("hosts", "nothing"), 2, "conductor hosts"),
        (("show", "nothing"), 2, "conductor runs"),
        (("run", "survey", ".", "--question", " "), 2, "QUESTION_REQUIRED"),
        (("run", "ask", "."), 2, 'ask one:  conductor run FLOW PATH --question "…"'),
    ],
)
def test_a_refusal_says_why_and_what_to_type_next(
    arguments: tuple[str, ...], code: int, text: str, conductor: Command
) -> None:
    done = conductor(*arguments)

    assert done.returncode == code
    assert text in done.stderr


def test_on_a_terminal_the_result_is_told_once_below_the_report(run: str, pair: Pair) -> None:
    screen, terminal = os.openpty()
    command = [sys.executable, "-m", "conductor.cli", "--address", pair.address, "watch", run]
    shown = b""
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal) as watching:
        os.close(terminal)
        with contextlib.suppress(OSError):  # a terminal that every program has left
            while piece := os.read(screen, 65536):
                shown += piece
    os.close(screen)
    text = shown.decode()

    assert watching.returncode == 0
    assert text.count("two succeeded in") == 1
    assert text.index("Two steps") < text.index("two succeeded in")


def test_a_person_reads_a_gate_and_decides(pair: Pair, conductor: Command) -> None:
    """Keeps H2 H3 K2: a failed agent asks, then the flow does; the run is paused and resumed between."""
    flow = pair.folder / "asks.yaml"
    flow.write_text(
        'title: Asks\nsteps:\n  - id: fails\n    on_failure: gate\n    agent: {agents: [scripted], prompt: "#scripted\\nexit 3"}\n'
        "  - id: plan\n    needs: [fails]\n    gate: {title: Go on?, show: 'It {{ steps.fails.text }}'}\n"
    )
    name = conductor("run", str(flow), str(plain_workspace(pair.folder / "w2")), "--detach").stdout.strip()
    run = name.removeprefix("runs/")

    def waits(gate: str) -> str:
        wait_until(lambda: f"{run}/{gate}" in conductor("gates").stdout)
        return conductor("gates", f"{run}/{gate}").stdout

    assert "AGENT_EXIT_NONZERO" in waits("fails-1")
    assert f"conductor approve {run}/fails-1" in conductor("show", run).stderr
    assert conductor("runs", "--state", "paused").stderr.startswith("some may wait for your decision:")
    assert conductor("pause", run, "--reason", "lunch").stdout == f"{name} paused\n"
    assert f"conductor resume {run}" in conductor("show", run).stderr
    assert conductor("resume", run).stderr.startswith("decide its gates:")
    assert conductor("approve", "fails", "--edit", "is fine", "--as", "ann").stdout.endswith("edit by ann (loopback)\n")
    assert "It is fine" in waits("plan-1")
    assert conductor("approve", f"{run}/plan-1", "--retry").stderr.startswith("conductor: gate plan-1 takes no retry")
    assert conductor("reject", run, "--comment", "no").stdout.endswith(": no\n")
    assert conductor("watch", run).returncode == 1
    assert "reject by" in conductor("show", run, "plan").stdout
    assert conductor("approve", f"{run}/plan-1").returncode != 0
    assert "GATE_RESOLVED" in conductor("approve", f"{run}/plan-1").stderr
    assert "see them:  conductor gates" in conductor("approve", "plan").stderr
