"""The bridge drives an agent of the protocol that others' library made, and decides its permissions. Keeps D7 and D11."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.agenthost.agents.bridge.driven import Ended, start

pytestmark = pytest.mark.processes

AGENT = Path(__file__).parent / "scripted_agent.py"


def bridge(
    tmp_path: Path, script: str, mode: str, login: str, environment: Mapping[str, str]
) -> "subprocess.Popen[str]":
    return start(tmp_path, "acp", script, [mode, login, "--", sys.executable, str(AGENT)], environment)


def run(tmp_path: Path, *script: str, mode: str = "plan", login: str = "", **environment: str) -> Ended:
    return Ended(bridge(tmp_path, "\n".join(script), mode, login, environment))


def test_an_answer_its_thoughts_and_its_usage_come_in_order(tmp_path: Path) -> None:
    ended = run(tmp_path, "think hm", "say Hel", "say lo")

    assert ended.code == 0, ended.errors
    assert [line["type"] for line in ended.lines] == ["reasoning", "answer", "answer", "usage", "turn"]
    assert ended.text("answer") == "Hello"
    assert (ended.said("usage")[0]["input_tokens"], ended.said("usage")[0]["output_tokens"]) == (11, 7)


def test_the_read_only_mode_is_set_before_the_first_prompt(tmp_path: Path) -> None:
    assert run(tmp_path, "mode").text("answer") == "plan"
    assert run(tmp_path, "mode", mode="").text("answer") == "default"


def test_reading_is_allowed_and_everything_else_refused_and_told(tmp_path: Path) -> None:
    ended = run(tmp_path, "read a.py", "edit b.py", "say done")

    calls, results = ended.said("tool_call"), ended.said("tool_result")
    assert [(one["name"], one["arguments"]) for one in calls] == [
        ("read", {"path": "a.py"}),
        ("edit", {"path": "b.py"}),
    ]
    assert [(one["failed"], one["text"]) for one in results] == [(False, "a.py: done"), (True, "refused")]
    assert ended.text("denial") == "refused: edit b.py"


def test_the_clients_files_are_not_offered(tmp_path: Path) -> None:
    ended = run(tmp_path, "ask /etc/passwd")

    assert ended.text("answer") == "[-32601]"
    assert "fs/read_text_file, which is not offered" in ended.text("denial")


def test_words_before_and_after_a_tool_are_two_paragraphs(tmp_path: Path) -> None:
    assert run(tmp_path, "say First.", "read a", "say Then.").text("answer") == "First.\n\nThen."


def test_what_an_agent_says_of_its_mode_is_no_answer(tmp_path: Path) -> None:
    ended = run(tmp_path, "say [MODE_UPDATE] plan", "say Done.", CHATTY="1")

    assert ended.text("answer") == "Done."
    assert ended.text("log") == "Welcome!\n[MODE_UPDATE] plan\n"


def test_a_stray_line_of_the_agent_disturbs_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path, "print npm notice", "print [1]", "say ok")

    assert (ended.code, ended.text("answer")) == (0, "ok")
    assert "the agent starts" in ended.errors


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("refuse", "401 no key"),
        ("die", "ended before it answered session/prompt"),
        ("end refusal", "ended its turn with refusal"),
    ],
)
def test_a_turn_that_ends_badly_is_a_failure_with_its_reason(tmp_path: Path, script: str, told: str) -> None:
    ended = run(tmp_path, "say x", script)

    assert ended.code == 1
    assert told in ended.text("log")


def test_a_turn_without_a_word_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "think only").code == 1


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"VERSION": "7"}, "speaks version 7"),
        ({"MODELESS": "1"}, "has no modes"),
        ({"login": "none"}, "authenticate"),
        ({"mode": "unknown"}, ""),
    ],
)
def test_an_agent_that_cannot_be_put_into_its_mode_is_never_asked(
    tmp_path: Path, how: Mapping[str, str], told: str
) -> None:
    if "mode" in how:
        assert run(tmp_path, "mode", **how).text("answer") == "unknown"  # the agent's own business to refuse it
        return
    ended = run(tmp_path, "say never", **how)

    assert (ended.code, ended.text("answer")) == (1, "")
    assert told in ended.text("log")


def test_a_stop_reaches_the_agent_as_a_cancel(tmp_path: Path) -> None:
    process = bridge(tmp_path, "say working\nwait\nend cancelled", "plan", "", {})
    assert process.stdout is not None
    assert "working" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    ended = Ended(process)

    assert ended.code == 1
    assert "ended its turn with cancelled" in ended.text("log")


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "prompt").write_text("x")
    done = subprocess.run(
        [sys.executable, "-m", "agenthost.agents", "acp", "", "", "--", "/no/such/agent"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "cannot be started" in done.stdout
