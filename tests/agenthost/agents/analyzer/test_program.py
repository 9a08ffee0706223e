"""An analyzer over a snapshot: findings with places, counts by rule, and every file that was not judged is told."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agenthost.agents.analyzer.taking import MAX_PLACES
from tests.agenthost.agents.analyzer.driven import analyze, tree

pytestmark = pytest.mark.processes

# A tool that finds each `bad`, and does with a file what its text says.
TOOL = """
import json, os, signal, sys, time
results = []
for path in sys.argv[1:]:
    text = open(path, errors="replace").read()
    if "crash" in text: os.kill(os.getpid(), signal.SIGSEGV)
    if "refuse" in text: sys.exit("cannot go on: the file is odd")
    if "pass over" in text: print(f"could not parse {path}: odd", file=sys.stderr)
    if "forever" in text: time.sleep(60)
    for number, line in enumerate(text.split("\\n"), 1):
        for word in ("bad", "worse"):
            if word in line:
                place = {"artifactLocation": {"uri": "file://" + path}, "region": {"startLine": number}}
                results.append({"ruleId": word.upper(), "level": "warning", "message": {"text": f"This is {word}."},
                                "locations": [{"physicalLocation": place}]})
json.dump({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": results}]}, sys.stdout)
sys.exit(1 if results else 0)
"""
SKIPPED = "could not parse (?P<path>.+?):"


def places(result: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [
        (finding["rule"], finding["evidence"][0]["path"], finding["evidence"][0]["start_line"])
        for finding in result["findings"]
    ]


def test_a_result_becomes_a_finding_that_names_a_place(tmp_path: Path) -> None:
    result, said = analyze(tree(tmp_path, {"a.py": "good\nbad\n", "b.txt": "bad\n", "dist/c.py": "bad\n"}), TOOL)

    assert result["findings"] == [
        {
            "id": "",
            "severity": "medium",
            "title": "This is bad.",
            "claim": "This is bad.",
            "category": "python",
            "rule": "tool:BAD",
            "help": "",
            "evidence": [{"path": "a.py", "start_line": 2, "end_line": 2, "quote": ""}],
        }
    ]
    assert (result["unjudged"], result["notes"]) == (0, [])
    assert result["coverage"] == {
        "tool": "tool 1.2",
        "judged": {"Python": 1},
        "skipped": {},
        "rules": {"tool:BAD": 1},
        "in_tests": {},
        "rule_files": {"tool:BAD": 1},
        "others": {"vendored": 1},
        "narrowed": {},
        "narrowed_by": "",
    }
    assert said[-2] == {"type": "answer", "text": "tool 1.2: 1 result (BAD 1) over files: Python 1.\n"}


def test_a_file_over_which_the_tool_crashes_loses_itself_only(tmp_path: Path) -> None:
    files = {f"f{number}.py": "bad\n" for number in range(9)} | {"f4.py": "bad\ncrash\n", "f7.py": "refuse\n"}
    result, _ = analyze(tree(tmp_path, files), TOOL)

    assert [path for _, path, _ in places(result)] == [f"f{number}.py" for number in range(9) if number not in {4, 7}]
    assert result["unjudged"] == 2
    assert result["coverage"]["skipped"] == {"Python": 2}
    assert result["notes"] == [
        "tool failed over f4.py, which is not judged: it was ended by signal 11.",
        (
            "tool failed over f7.py, which is not judged: its output cannot be read, because it ends early, after 0 characters:"
            " cannot go on: the file is odd."
        ),
    ]


def test_files_that_the_tool_passes_over_are_not_judged(tmp_path: Path) -> None:
    result, _ = analyze(tree(tmp_path, {"a.py": "bad\n", "b.py": "pass over\n"}), TOOL, skipped=SKIPPED)

    assert (result["unjudged"], result["coverage"]["judged"]) == (1, {"Python": 1})
    assert result["notes"] == ["tool passed over b.py; it is not judged."]


def test_a_file_that_a_result_says_could_not_be_parsed_is_not_judged(tmp_path: Path) -> None:
    result, _ = analyze(tree(tmp_path, {"a.py": "bad\n", "b.py": "worse\nworse\n"}), TOOL, unparsed=["WORSE"])

    assert (result["unjudged"], result["coverage"]["skipped"]) == (1, {"Python": 1})
    assert result["coverage"]["rules"] == {"tool:BAD": 1, "tool:WORSE": 2}
    assert "b.py" in result["notes"][0]


def test_a_tool_that_takes_too_long_is_ended_and_what_it_had_not_judged_is_told(tmp_path: Path) -> None:
    result, _ = analyze(tree(tmp_path, {"a.py": "forever\n", "b.py": "bad\n"}), TOOL, seconds=0.3)

    assert (places(result), result["unjudged"]) == ([], 2)
    assert result["notes"] == ["tool failed over a.py, b.py, which are not judged: it was ended after 0.3 s."]


def test_the_half_without_the_file_over_which_the_tool_hangs_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agenthost.agents.analyzer.running.MIN_TURN_SECONDS", 0.5)
    files = {f"b{number:02}.py": "bad\n" for number in range(32)}
    result, _ = analyze(tree(tmp_path, {"a.py": "forever\n", **files}), TOOL, seconds=4)

    assert len(places(result)) >= 16
    assert any("a.py" in note for note in result["notes"])


def test_a_tool_that_takes_too_much_memory_loses_that_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agenthost.agents.analyzer.running.MAX_DATA_BYTES", 64 * 1024**2)
    greedy = TOOL.replace("for number", "held = bytearray(10**9 if 'much' in text else 1)\n    for number", 1)
    result, _ = analyze(tree(tmp_path, {"a.py": "much\n", "b.py": "bad\n"}), greedy)

    assert places(result) == [("tool:BAD", "b.py", 1)]
    assert result["notes"][0].startswith("tool failed over a.py, which is not judged: ")
    assert result["notes"][0].endswith("MemoryError.")


def test_a_file_whose_name_has_a_line_break_is_not_given(tmp_path: Path) -> None:
    result, _ = analyze(tree(tmp_path, {"a\nb.py": "bad\n", "b.py": "bad\n"}), TOOL)

    assert (places(result), result["unjudged"]) == ([("tool:BAD", "b.py", 1)], 1)
    assert result["unjudged_files"] == ["a\\nb.py"]


def test_a_path_that_a_tool_does_not_encode_is_found(tmp_path: Path) -> None:
    result, _ = analyze(tree(tmp_path, {"a%41.py": "bad\n", "b%2Bc.py": "bad\n", "b+c.py": "bad\n"}), TOOL)

    assert {path for _, path, _ in places(result)} >= {"a%41.py", "b+c.py"}


def test_a_tool_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    result, _ = analyze(tree(tmp_path, {"a.py": "bad\n"}), TOOL, argv=["/nowhere/tool", "{files}"])

    assert result["notes"] == [
        "tool failed over a.py, which is not judged: it cannot be started: No such file or directory."
    ]


def test_without_a_file_for_it_the_tool_is_not_started(tmp_path: Path) -> None:
    result, said = analyze(tree(tmp_path, {"a.rs": "bad\n"}), TOOL, argv=["/nowhere/tool", "{files}"])

    assert (result["findings"], result["notes"], result["unjudged"]) == ([], [], 0)
    assert said[0]["text"] == "tool 1.2 was not started: the snapshot has no file for it.\n"


def test_a_tool_may_write_its_result_into_a_file(tmp_path: Path) -> None:
    tool = TOOL.replace("sys.stdout)", "open(os.environ['RESULT'], 'w'))").replace(
        "import json, os", "import os, sys\nos.environ['RESULT'] = sys.argv.pop(1)\nprint('chatter')\nimport json"
    )
    root = tree(tmp_path, {"a.py": "bad\n"})
    argv = [sys.executable, "-I", "-S", str(tmp_path / "tool.py"), "{result}", "{files}"]

    assert places(analyze(root, tool, argv=argv, result="file")[0]) == [("tool:BAD", "a.py", 1)]


def test_the_tool_runs_outside_of_the_snapshot_and_is_not_led_to_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/history.git")
    tool = "import os, sys\nsys.exit(f'{os.getcwd()} {sorted(name for name in os.environ if name[:4] == \"GIT_\")}')"
    result, _ = analyze(tree(tmp_path, {"a.py": ""}), tool)

    assert result["notes"][0].endswith(f": {tmp_path}/work [].")


def test_beyond_the_cap_of_a_rule_its_results_are_still_counted(tmp_path: Path) -> None:
    result, _ = analyze(tree(tmp_path, {"a.py": "bad\n" * 1000, "b.py": "worse\n"}), TOOL)

    assert result["coverage"]["rules"] == {"tool:BAD": 1000, "tool:WORSE": 1}
    assert result["coverage"]["rule_files"] == {"tool:BAD": 1, "tool:WORSE": 1}
    assert result["coverage"]["in_tests"] == {}
    assert [rule for rule, _, _ in places(result)].count("tool:BAD") == MAX_PLACES
    assert places(result)[1] == ("tool:WORSE", "b.py", 1)


def test_product_code_has_the_places_and_test_code_is_counted_apart(tmp_path: Path) -> None:
    files = {"a_test.py": "bad\n" * 500, "b.py": "bad\n" * 30, "tests/c.py": "bad\n", "d.py": "bad\n" * 3}
    result, _ = analyze(tree(tmp_path, files), TOOL)
    named = [path for _, path, _ in places(result)]

    assert named == ["b.py"] * 30 + ["d.py"] * 3 + ["a_test.py"] * (MAX_PLACES - 33)
    assert result["coverage"]["rules"] == {"tool:BAD": 534}
    assert result["coverage"]["in_tests"] == {"tool:BAD": 501}
    assert result["coverage"]["rule_files"] == {"tool:BAD": 2}


def test_a_rule_does_not_count_in_lines_that_are_its_exceptions(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a.py": "bad\n\n\n\n\nbad(\n {})\nworse {}\n"})
    result, _ = analyze(root, TOOL, unless={"BAD": ["{"]})

    assert places(result) == [("tool:BAD", "a.py", 1), ("tool:WORSE", "a.py", 8)]
    assert result["coverage"]["rules"] == {"tool:BAD": 1, "tool:WORSE": 1}
    assert result["notes"] == ["Of tool's results, those of BAD that the agent's spec excepts are left out: 1."]


def test_over_a_change_the_places_in_changed_files_come_before_all_others(tmp_path: Path) -> None:
    files = {"a.py": "bad\n" * 500, "tests/b.py": "bad\n", "y\xa0.py": "bad\n", "z.py": "bad\nbad\n"}
    changed = ["z.py", r"y\xa0.py", "tests/b.py", 3]  # as the conductor tells names
    result, _ = analyze(tree(tmp_path, files), TOOL, prompt=f"{json.dumps({'base': 'abc', 'changed': changed})} Look")

    assert [path for _, path, _ in places(result)] == ["y\xa0.py", "z.py", "z.py"] + ["a.py"] * (MAX_PLACES - 3)


def test_a_process_that_leaves_the_tools_group_cannot_hold_its_output_open(tmp_path: Path) -> None:
    tool = "import os, time\nif not os.fork():\n    os.setsid()\n    time.sleep(4)\n    os._exit(0)\n"
    began = time.monotonic()
    result, _ = analyze(tree(tmp_path, {"a.py": "1\n"}), tool, seconds=0.5)
    assert time.monotonic() - began < 3.5
    assert "it was ended after 0.5 s" in result["notes"][0]
