"""An input arrives as it was written, of the type that the flow's schema names. Keeps K2."""

from pathlib import Path
from typing import Any

import pytest

from conductor.cli.commands.inputs import typed_inputs
from conductor.cli.commands.requests import create_request
from conductor.cli.text.failure import USAGE, CommandError
from conductor.v1.flow_service_pb2 import Flow
from conductor.v1.run_service_pb2 import CreateRunRequest, Workspace

SCHEMA: dict[str, Any] = {
    "properties": {
        "sha": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "maybe": {"type": ["string", "null", "number"]},
        "flag": {"type": "boolean"},
        "many": {"type": "array"},
        "of_enum": {"enum": ["1.0", "2"]},
        "by_reference": {"$ref": "#/$defs/a~1b"},
        "any": {"anyOf": [{"type": "boolean"}, {"type": "integer"}]},
        "all": {"allOf": [{"type": "number"}, {"type": ["integer", "string"]}]},
        "untyped": {"description": "Something."},
    },
    "patternProperties": {"^tag": {"type": "string"}},
    "$defs": {"a/b": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("sha", "1234567e2", "1234567e2"),
        ("sha", "007", "007"),
        ("sha", "true", "true"),
        ("sha", '"quoted"', '"quoted"'),
        ("of_enum", "2", "2"),
        ("by_reference", "1.10", "1.10"),
        ("tag_1", "1", "1"),
        ("count", "12", 12),
        ("count", "-9007199254740991", -9007199254740991),
        ("count", "twelve", "twelve"),  # the conductor refuses it, and names the type
        ("share", "1e3", 1000.0),
        ("share", "1.10", 1.1),
        ("flag", "true", True),
        ("flag", "yes", "yes"),
        ("many", '["a", 1.5]', ["a", 1.5]),
        ("any", "3", 3),
        ("all", "3", 3),
        ("maybe", "null", None),
        ("maybe", "1.10", "1.10"),
        ("maybe", "1.1", 1.1),
        ("maybe", "1e999", "1e999"),
        ("untyped", "3", 3),
        ("untyped", "1.5", 1.5),
        ("untyped", "1.10", "1.10"),
        ("untyped", "1234567e2", "1234567e2"),
        ("untyped", "-0", "-0"),
        ("untyped", " 3", " 3"),
        ("untyped", "NaN", "NaN"),
        ("untyped", "9007199254740993", "9007199254740993"),
        ("count", "9007199254740993", "9007199254740993"),
        ("many", "[9007199254740993]", "[9007199254740993]"),
        ("untyped", "1" + "0" * 400, "1" + "0" * 400),
        ("untyped", "false", False),
        ("untyped", '{"a": [1]}', {"a": [1]}),
        ("untyped", "[" * 100_000, "[" * 100_000),
        ("unknown", "0123", "0123"),
        ("question", "42", "42"),
    ],
)
def test_the_schema_decides_what_a_text_means(name: str, text: str, value: object) -> None:
    found = typed_inputs([(name, text)], SCHEMA)[name]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("name", "text"), [("share", "1e999"), ("share", "-1e400")])
def test_a_number_that_would_arrive_as_another_is_refused(name: str, text: str) -> None:
    with pytest.raises(CommandError, match=rf"--input {name}: .* is beyond"):
        typed_inputs([(name, text)], SCHEMA)


@pytest.mark.parametrize("name", ["question", "band"])
def test_an_input_that_comes_by_two_options_is_refused_by_name(name: str) -> None:
    options: dict[str, object] = {"question": None, "band": None, "extras": (f"{name}=large",), name: "small"}

    with pytest.raises(CommandError, match=f"{name} is given twice: by --{name} and by --input {name}=") as told:
        create_request("survey", Path(), options, lambda _: Flow())

    assert told.value.code == USAGE


def request(**given: Any) -> CreateRunRequest:
    absent = ("question", "band", "commit", "since", "request_id", "title", "project", "plan_hash")
    options: dict[str, Any] = {**dict.fromkeys(absent), "extras": (), "labels": (), "paths": (), "uncommitted": False}
    return create_request("survey", Path(), {**options, "priority": 0, **given}, lambda _: Flow())


@pytest.mark.parametrize(
    ("given", "scope", "base", "paths"),
    [
        ({}, Workspace.SCOPE_UNSPECIFIED, "", []),
        ({"since": "main"}, Workspace.SCOPE_DIFF, "main", []),
        ({"uncommitted": True, "paths": ("src", "a b\n")}, Workspace.SCOPE_UNCOMMITTED, "", ["src", "a b\n"]),
        ({"since": "v1", "commit": "HEAD", "paths": ("x",)}, Workspace.SCOPE_DIFF, "v1", ["x"]),
    ],
)
def test_options_say_what_a_run_is_about(given: dict[str, Any], scope: int, base: str, paths: list[str]) -> None:
    """Keeps J4."""
    workspace = request(**given).workspace

    assert (workspace.scope, workspace.base_revision, list(workspace.paths)) == (scope, base, paths)


@pytest.mark.parametrize("given", [{"since": "main", "uncommitted": True}, {"commit": "HEAD", "uncommitted": True}])
def test_two_scopes_at_once_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="--uncommitted"):
        request(**given)


def test_parts_that_refer_to_each_other_many_times_are_read_once() -> None:
    pairs = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, 26)}
    schema = {"$defs": {"d0": {"type": "integer"}, **pairs}, "properties": {"count": {"$ref": "#/$defs/d25"}}}

    assert typed_inputs([("count", "5")], schema) == {"count": 5}
