"""The tables of the docs agree with the code: reasons, limits, exit codes, dialects, settings. Keeps K5."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

import agenthost.config
import agenthost.errors
import conductor.cli.text.failure as exit_codes
import conductor.config
import conductor.errors
from agenthost.catalogue.commands import agents
from agenthost.core.admission import agent_spec, analyzers
from agenthost.core.models import ending as model_ending
from agenthost.core.models import endpoint
from agenthost.core.output.dialects import jsonl
from agenthost.core.output.dialects.table import DIALECTS
from agenthost.core.output.report import Channel, Notice, Output, Report
from agenthost.core.output.revisions import LATEST
from agenthost.packages.prefix import packaged
from conductor.core.decide.endings.guessing import guess_class
from conductor.core.decide.endings.retry import find_cause
from conductor.core.model.states import Failure
from conductor.evaluation.answers.results import ResultError, read_result
from servicekit.calls.rooms import TooManyCallsError
from servicekit.errors import StatusError
from servicekit.printing.output_lost import READER_LEFT
from tests.docs.pages import ROOT, page

UNITS = {"KiB": 1024, "Ki": 1024, "MiB": 1024**2, "GiB": 1024**3, "min": 60, "h": 3600}
# How a failure is written in code: the call, and which argument is the reason.
FAILURES = {"Verdict": 1, "Failure": 0, "_failed": 0}
# Reasons that name no failure of a step: a run's, and what a host says of its streams.
OF_RUNS = {"RUN_TIMEOUT", "STEPS_STUCK", "REPORT_FAILED", "STORAGE_DAMAGED", "INTERNAL"}


def plain(cell: str) -> str:
    """Returns the one thing in backticks in a cell."""
    (found,) = re.findall(r"`([^`]+)`", cell)
    return str(found)


def reasons(heading: str) -> dict[str, str]:
    """Returns the reasons of a table, each with its next column."""
    return {plain(row[0]): row[1] for row in page("reasons").table(heading) if row[0].startswith("`")}


def sources(package: str) -> Iterator[ast.Module]:
    for path in sorted((ROOT / package).rglob("*.py")):
        if "_pb2" not in path.name:
            yield _tree(path)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def calls(package: str) -> Iterator[tuple[str, list[ast.expr]]]:
    """Yields every call by a plain name in a package, with its arguments."""
    for tree in sources(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id, node.args


def word(node: ast.expr) -> str:
    """Returns a reason given as text, or as a constant that is called as its value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return node.id if isinstance(node, ast.Name) and node.id.isupper() else ""


def raised(package: str) -> dict[str, str]:
    """Returns every reason that a service refuses with, and its gRPC code."""
    errors = [
        *vars({"conductor": conductor.errors, "agenthost": agenthost.errors}[package]).values(),
        TooManyCallsError,
    ]
    kinds = [each for each in errors if isinstance(each, type) and issubclass(each, StatusError)]
    found = {kind.reason: kind.code for kind in kinds if "reason" in vars(kind)}
    for name, arguments in calls(package):
        if name == "NotFoundError" and arguments and (what := word(arguments[0])):
            found[f"{what.upper()}_NOT_FOUND"] = "NOT_FOUND"
        elif name == "PreconditionError" and arguments and (reason := word(arguments[0])):
            found[reason] = "FAILED_PRECONDITION"
    return found


@pytest.mark.parametrize(
    ("package", "heading"),
    [("conductor", "A call to the conductor was refused"), ("agenthost", "A host refused")],
)
def test_every_refusal_stands_in_the_table_with_its_code(package: str, heading: str) -> None:
    documented = reasons(heading)
    found = raised(package)

    assert {reason: code for reason, code in found.items() if documented.get(reason) != code} == {}
    text = "\n".join(path.read_text() for path in (ROOT / package).rglob("*.py"))
    assert [reason for reason in documented if reason not in found and f'"{reason}"' not in text] == []


def test_every_reason_of_a_failed_step_or_run_stands_in_the_tables() -> None:
    documented = {*reasons("A step failed"), *reasons("A run failed")}
    found = set()
    for package in ("conductor", "agenthost"):
        for name, arguments in calls(package):
            if name in FAILURES and len(arguments) > FAILURES[name]:
                found.add(word(arguments[FAILURES[name]]))
    text = "\n".join(path.read_text() for name in ("conductor", "agenthost") for path in (ROOT / name).rglob("*.py"))

    assert len(found) > 20
    assert found - documented - {""} == set()
    assert [reason for reason in sorted(documented) if f'"{reason}"' not in text] == []


def test_the_table_says_which_count_of_retries_a_reason_falls_under() -> None:
    rows = [(plain(row[0]), row[2]) for row in page("reasons").table("A step failed")]
    told = {reason: plain(by).replace("_", " ") for reason, by in rows if by.startswith("`")}
    # The host of f9ac01c had no such reasons: today's names their causes itself.
    table = {reason: trouble.cause for reason, trouble, _ in model_ending.TEXTS.values()}
    newer = {
        reason: str(cause) for reason, cause in table.items() if cause and reason not in {"RATE_LIMITED", "AUTH_FAILED"}
    }
    assert {reason: told.pop(reason).replace(" ", "_") for reason in newer} == newer
    found = {reason: find_cause(Failure(reason, "", guess_class(reason))) for reason in told}

    assert {reason: str(cause) for reason, cause in found.items()} == told
    never = [reason for reason, by in rows if by == "never"]
    assert {"AUTH_FAILED", "SANDBOX_REFUSED"} <= {
        reason for reason in never if find_cause(Failure(reason, "", guess_class(reason))) is None
    }


def test_every_exit_code_stands_in_the_table() -> None:
    told = {int(row[0]) for row in page("command-line").table("Exit codes")}
    names = [
        "RUN_FAILED",
        "USAGE",
        "CANCELLED",
        "TIMED_OUT",
        "FOUND",
        "INCOMPLETE",
        "UNREACHABLE",
        "NOT_AUTHORISED",
        "INTERRUPTED",
    ]

    assert told == {0, READER_LEFT, *(getattr(exit_codes, name) for name in names)}


def test_the_settings_of_a_conductor_have_the_defaults_that_the_table_says() -> None:
    told = {plain(row[0]): float(row[1]) for row in page("limits").table("Settings of a conductor")}
    limits = {f"limits.{name}": value for name, value in asdict(conductor.config.Limits()).items()}
    clocks = {f"clocks.{name}": value for name, value in asdict(conductor.config.Clocks()).items()}

    assert told == limits | clocks


def test_the_settings_of_a_host_have_the_defaults_that_the_table_says(tmp_path: Path) -> None:
    told = {plain(row[0]): float(row[1]) for row in page("limits").table("Settings of a host")}
    settings = agenthost.config.Settings(listen="", data=tmp_path, name="x")
    limits = {f"limits.{each.name}": getattr(settings.limits, each.name) for each in fields(settings.limits)}
    keeping = {f"limits.{each.name}": getattr(settings.keeping, each.name) for each in fields(settings.keeping)}
    ends = {name: getattr(settings, name) for name in ("unheard_seconds", "unheard_bytes")}

    assert told == limits | keeping | ends


def constants() -> dict[str, set[float]]:
    """Returns every constant of a number by its name, with each value that it has somewhere."""
    found: dict[str, set[float]] = {}
    for package in ("conductor", "agenthost", "servicekit"):
        for tree in sources(package):
            for node in tree.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    found.setdefault(node.targets[0].id, set()).update(_number(node.value))
    return found


def _number(node: ast.expr) -> Iterator[float]:
    text = ast.unparse(node)
    if re.fullmatch(r"[\d_.e+*() ]+", text):
        yield float(eval(text))  # noqa: S307 - digits and operators


def test_every_fixed_limit_has_the_value_that_the_table_says() -> None:
    rows = page("limits").table("Fixed limits")
    known = constants()
    wrong = []
    for what, limit, name in rows:
        number, unit = re.fullmatch(r"([\d,]+) ?(\w*).*", limit).groups()  # type: ignore[union-attr]
        if int(number.replace(",", "")) * UNITS.get(unit, 1) not in known.get(plain(name), set()):
            wrong.append((what, limit, name))

    assert len(rows) > 30
    assert wrong == []


def spoken(line: dict[str, object]) -> list[Report]:
    """Returns what a host reads in one line of the dialect."""
    reader = DIALECTS["jsonl"](LATEST.parser)
    return [*reader.feed(json.dumps(line).encode() + b"\n"), *reader.finish()]  # type: ignore[list-item]


def is_log(said: list[Report]) -> bool:
    """Tells whether a line was not understood: then there is a notice, and the line as log."""
    return (
        len(said) == 2
        and isinstance(said[0], Notice)
        and isinstance(said[1], Output)
        and said[1].channel is Channel.LOG
    )


def told_texts() -> list[tuple[str, str]]:
    """Returns what the tables of docs/troubleshooting.md quote, in fragments: values in it differ from place to place."""
    first = [line.split(" | ")[0] for line in page("troubleshooting").text.splitlines() if line.startswith("| ")]
    quotes = [
        quote for cell in first for quote in re.findall(r"`([^`]+)`", cell) if not quote.startswith(("./", "HTTP"))
    ]
    return [
        (quote, part.strip()) for quote in quotes for part in re.split(r"'[^']*'|\d+|NAME|…", quote) if part.strip()
    ]


def test_every_message_that_troubleshooting_quotes_is_in_the_code() -> None:
    packages = ("conductor", "agenthost", "servicekit")
    paths = [path for name in packages for path in (ROOT / name).rglob("*") if path.suffix in {".py", ".jinja"}]
    # Adjacent pieces of a text are one text.
    code = re.sub(r"""["']\s*\n\s*f?["']""", "", "\n".join(path.read_text() for path in paths))
    elsewhere = {"Too many open files", "ModuleNotFoundError:", "_pb"}  # the system's and Python's words

    fragments = told_texts()
    assert len(fragments) > 30
    assert [quote for quote, part in fragments if part not in code and part not in elsewhere] == []


EXAMPLES = {line["type"]: line for line in map(json.loads, page("dialects").block("json lines").splitlines())}
FIELDS = [(plain(row[0]), plain(row[1]), row[3]) for row in page("dialects").table("The lines of `jsonl`")]


def test_the_table_of_dialects_has_every_dialect() -> None:
    assert [plain(row[0]) for row in page("dialects").table("The dialects")] == list(DIALECTS)


def test_the_table_of_the_dialect_has_every_type_and_every_field() -> None:
    told = {(kind, field) for kind, field, _ in FIELDS}

    assert set(EXAMPLES) == set(jsonl._READERS)
    assert told == {(kind, field) for kind, line in EXAMPLES.items() for field in line if field != "type"}
    assert not any(is_log(spoken(line)) for line in EXAMPLES.values())


@pytest.mark.parametrize(("kind", "field", "effect"), FIELDS, ids=[f"{kind}.{field}" for kind, field, _ in FIELDS])
def test_a_line_that_lacks_a_field_becomes_what_the_table_says(kind: str, field: str, effect: str) -> None:
    lacking = spoken({name: value for name, value in EXAMPLES[kind].items() if name != field})
    strange = spoken({**EXAMPLES[kind], field: [1.5]})
    if "of another form, " in effect or effect == "as `input_tokens`":
        assert "of another form, the line is kept as log" in effect or kind == "usage"
        assert not is_log(lacking)
        assert is_log(strange)
    elif "the line is kept as log" in effect:
        assert is_log(lacking)
        assert is_log(strange)
    else:
        (said,) = lacking
        assert getattr(said, field) == {"empty": "", "`{}`": "{}", "`false`": False}[effect]
        assert not is_log(strange)


RESULT = json.loads(page("dialects").block("json result"))


def found(change: dict[str, object], *, evidence: bool = False) -> str:
    """Returns "kept" or "left out" for the example's finding with a change in it, or in its evidence."""
    finding = json.loads(json.dumps(RESULT["findings"][0]))
    place = finding["evidence"][0] if evidence else finding
    place.update(change)
    for name in [name for name, value in change.items() if value is None]:
        del place[name]
    other = {**RESULT["findings"][0], "title": "another"}
    told = read_result(json.dumps({"findings": [finding, other]}).encode(), "step")
    assert told is not None
    return "left out" if told.left_out else "kept"


@pytest.mark.parametrize(
    ("field", "evidence", "missing", "strange"),
    [
        ("severity", False, "left out", "left out"),
        ("title", False, "left out", "left out"),
        ("claim", False, "kept", "left out"),
        ("category", False, "kept", "left out"),
        ("path", True, "left out", "left out"),
        ("quote", True, "left out", "left out"),
    ],
)
def test_a_finding_that_lacks_a_field_becomes_what_the_table_says(
    field: str, *, evidence: bool, missing: str, strange: str
) -> None:
    effects = {plain(row[0]): row[2] for row in page("dialects").table("The `result` of a `final` line")}

    assert found({field: None}, evidence=evidence) == missing
    assert found({field: [1]}, evidence=evidence) == strange
    assert ("left out" in effects[field]) == ("left out" in (missing, strange))


def test_a_result_without_readable_findings_becomes_what_the_page_says() -> None:
    assert read_result(b'{"other": 1}', "step") is None
    for broken in ('{"findings": {}}', '{"findings": [{"title": "no severity"}]}'):
        with pytest.raises(ResultError):
            read_result(broken.encode(), "step")
    (kept,) = read_result(json.dumps(RESULT).encode(), "step").findings  # type: ignore[union-attr]
    assert kept.title == "load() runs its input as code"


def test_every_setting_of_a_spec_and_of_a_model_is_explained() -> None:
    settings = {name for row in page("agents").table("The spec file") for name in re.findall(r"`(\w+)`", row[0])}
    models = {name for row in page("agents").table("Models") for name in re.findall(r"`(\w+)`", row[0])}

    assert settings == agent_spec._KEYS
    assert {plain(row[0]) for row in page("analyzers").table("An analyzer of your own")} == analyzers._KEYS
    assert models == endpoint._KEYS


def test_every_folder_of_the_packages_has_its_line() -> None:
    told = {plain(row[0]) for row in page("architecture").table("Folders")}
    there = {
        f"{path.parent.relative_to(ROOT)}/"
        for package in ("conductor", "agenthost", "servicekit")
        for path in (ROOT / package).rglob("__init__.py")
    }
    lenses = {folder for folder in there if folder.startswith("agenthost/agents/survey/") and folder.count("/") > 3}

    assert told == there - lenses - {"conductor/v1/", "agenthost/v1/"}


@pytest.mark.processes
def test_the_tables_of_agents_are_those_that_the_command_prints() -> None:
    printed = CliRunner().invoke(agents, ["list", "--markdown"], standalone_mode=False).output

    assert set(packaged()) == {plain(row[0]) for row in page("agents").table("Agents that others make")}
    assert [
        one for one in printed.strip().split("\n\n") if one not in page("agents").text + page("analyzers").text
    ] == []
