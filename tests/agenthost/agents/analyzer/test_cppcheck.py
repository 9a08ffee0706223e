"""Cppcheck: each rule that the table keeps finds its fault; what it cannot read is told; what a project suppresses is counted."""

import io
import tomllib
from pathlib import Path

import pytest

from agenthost.agents.analyzer.adapters import cppcheck
from agenthost.agents.analyzer.doubts import why_not
from agenthost.agents.analyzer.narrowing.cppcheck import narrow
from agenthost.agents.analyzer.results import Result
from tests.agenthost.agents.analyzer.driven import analyze_with, tree

EXAMPLES = tomllib.loads((Path(__file__).parent / "cppcheck_rules.toml").read_text())
TABLE = Path(__file__).parents[4] / "flows/survey/rules.toml"
LEAK = Result("memleak", "error", "Memory leak: p", "src/a.c", 3, 3)


@pytest.mark.processes
def test_every_rule_finds_its_fault_and_nothing_in_good_code(tmp_path: Path) -> None:
    files = {
        f"{kind}/{rule}.{one['ending']}": one[kind] for rule, one in EXAMPLES.items() for kind in ("faulty", "good")
    }
    kept = {rule for rule, entry in tomllib.loads(TABLE.read_text())["cppcheck"].items() if "drop" not in entry}

    result = analyze_with("cppcheck", tree(tmp_path, files))

    assert result["unjudged"] == 0, result["notes"]
    found = {(one["evidence"][0]["path"], one["rule"].partition(":")[2]) for one in result["findings"]}
    assert {(path, rule) for path, rule in found if rule in kept} == {
        (f"faulty/{rule}.{one['ending']}", rule) for rule, one in EXAMPLES.items()
    }
    assert set(EXAMPLES) == kept


@pytest.mark.processes
def test_a_file_that_cannot_be_parsed_is_not_judged(tmp_path: Path) -> None:
    code = EXAMPLES["resourceLeak"]["faulty"]

    result = analyze_with("cppcheck", tree(tmp_path, {"broken.c": "int main( { ", "a.c": code, "a.md": "x"}))

    assert result["unjudged_files"] == ["broken.c"]
    assert result["coverage"]["rules"].get("cppcheck:resourceLeak") == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/workspace/a.c\t3\tmemleak\terror\tMemory leak: p", [("/workspace/a.c", 3, "error")]),
        ("/workspace/a b.c\t3\tzerodiv\tstyle\ta\tb", [("/workspace/a b.c", 3, "note")]),
        ("\t0\tnoValidConfiguration\tinformation\tx", []),
        ("/workspace/a.c\tx\tmemleak\terror\tMemory leak: p", []),
        ("Checking a.c ...", []),
    ],
)
def test_each_line_is_a_result(line: str, told: list[tuple[str, int, str]]) -> None:
    found = cppcheck.read(io.BytesIO(f"{line}\n".encode()))
    assert [(one.path, one.start_line, one.level) for one in found] == told


@pytest.mark.parametrize(
    ("files", "is_out"),
    [
        ({".cppcheck-suppressions": "# why\nmemleak\n"}, True),
        ({"suppressions.txt": "memleak:src/a.c:3 // why\n"}, True),
        ({"cppcheck.supp": "memleak:src/b.c\n"}, False),
        ({".cppcheck-suppressions": "*\n"}, False),
        ({"Makefile": "check:\n\tcppcheck --suppress=memleak src\n"}, True),
        ({"Makefile": "check:\n\tanother --suppress=memleak src\n"}, False),
        ({".github/workflows/ci.yml": "run: cppcheck --suppress='memleak:src/*' .\n"}, True),
        ({"src/a.c": "a\n// cppcheck-suppress memleak\nreturn;\n"}, True),
        ({"src/a.c": "a\n// cppcheck-suppress[zerodiv,memleak] why\nreturn;\n"}, True),
        ({"src/a.c": "a\nb\nreturn; // cppcheck-suppress memleak\n"}, True),
        ({"src/a.c": "// cppcheck-suppress memleak\nb\nreturn;\n"}, False),
        ({"src/a.c": "// cppcheck-suppress-file memleak\nb\nreturn;\n"}, True),
        ({"src/a.c": "// cppcheck-suppress-begin memleak\n// cppcheck-suppress-end memleak\nreturn;\n"}, False),
        ({"src/a.c": "a\n// cppcheck-suppress zerodiv\nreturn;\n"}, False),
    ],
)
def test_what_a_project_suppresses_is_left_out(files: dict[str, str], is_out: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    omissions = narrow(tree(tmp_path, files))

    assert omissions.leaves_out(LEAK) is is_out
    assert bool(omissions.applied) is is_out


@pytest.mark.parametrize(
    ("rule", "message", "text", "left_out"),
    [
        ("wrongPrintfScanfArgNum", "", 'printf ("empty\\n", inst);', False),
        ("wrongPrintfScanfArgNum", "", "sprintf(buffer, fmt, a, b);", True),
        ("wrongPrintfScanfArgNum", "", 'printf("%s %"PRIu64"\\n", a, b);', True),
        ("wrongPrintfScanfArgNum", "", 'printf("%s "\n       "%d\\n", a);', False),
        ("assertWithSideEffect", "side effects: 'freopen'", "assert(freopen(a, b, c));", False),
        ("assertWithSideEffect", "side effects: 'FD_ISSET'", "assert(FD_ISSET(a, b));", True),
        ("memleakOnRealloc", "mistake: 'p' nulled", "p = realloc(p, 2);\nif (p == NULL) goto end;", False),
        ("memleakOnRealloc", "mistake: 'p' nulled", "p = realloc(p, 2);\nif (!p) {\n  die(1);\n}\nreturn p;", True),
        ("memleakOnRealloc", "mistake: 'p' nulled", "p = realloc(p, 2);\np[0] = 1;", True),
    ],
)
def test_what_is_an_exception_by_its_lines_is_not_told(rule: str, message: str, text: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    assert bool(why_not(rule, Result(rule, "error", message, "a.c", 1, 1), text.encode())) is left_out
