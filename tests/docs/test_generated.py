"""What docs/ has from the protos is up to date, and the schema of flow files says what `validate` says. Keeps A13."""

import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from conductor.flows.editing.json_schema import flow_schema
from conductor.flows.library.layers import built_in
from tests.docs.pages import DOCS, README, ROOT

SHIPPED = sorted(built_in().flows.glob("**/*.yaml"))
KINDS = sorted((ROOT / "tests/catalogue/kinds").glob("*.yaml"))
SHOWN = {name: text for page in (README, *DOCS) for name, text in page.files("flow").items()}
STEP = {"id": "a", "agent": {"agents": ["survey"], "prompt": "Look"}}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = flow_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_what_docs_has_from_the_protos_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs/generate.py"))["generated"]()

    assert {path.name for path, text in generated.items() if path.read_text() != text} == set(), "run ./dev generate"


@pytest.mark.parametrize("path", [*SHIPPED, *KINDS], ids=lambda path: path.stem)
def test_the_schema_accepts_every_flow_that_ships(path: Path, validator: jsonschema.Draft7Validator) -> None:
    """Keeps A13."""
    validator.validate(yaml.safe_load(path.read_text()))


def test_the_schema_accepts_every_flow_of_the_docs(validator: jsonschema.Draft7Validator) -> None:
    for text in SHOWN.values():
        validator.validate(yaml.safe_load(text))


def test_the_schema_accepts_both_spellings_of_fields_and_of_enumerations(
    validator: jsonschema.Draft7Validator,
) -> None:
    agent = {**STEP["agent"], "idleTimeout": "1h30m", "idle_timeout": "90s", "on_lost": "fail"}
    validator.validate({"steps": [{**STEP, "agent": agent, "onFailure": "ON_FAILURE_CONTINUE"}], "bands": ["small"]})
    each = {"items": "[1]", "as": "one", "steps": [STEP]}
    for most in (3, {"small": 1, "large": 2}):
        validator.validate({"steps": [{"id": "a", "foreach": {**each, "max_items": most}}]})


@pytest.mark.parametrize(
    ("flow", "where"),
    [
        ({"steps": [STEP], "titel": "A typo"}, []),
        ({"steps": [{**STEP, "need": ["a"]}]}, ["steps", 0]),
        ({"steps": [{**STEP, "agent": {**STEP["agent"], "promt": "Look"}}]}, ["steps", 0, "agent"]),
        ({"steps": [{**STEP, "agent": {**STEP["agent"], "timeout": "2 minutes"}}]}, ["steps", 0, "agent", "timeout"]),
        ({"steps": [{**STEP, "on_failure": "contine"}]}, ["steps", 0, "on_failure"]),
        ({"steps": [{**STEP, "fold": {"merge": {}}}]}, ["steps", 0]),
        ({"steps": [{"id": "a"}]}, ["steps", 0]),
        ({"steps": [{**STEP, "id": "A step"}]}, ["steps", 0, "id"]),
        ({"steps": [STEP], "revision": "only in answers"}, []),
        ({}, []),
    ],
)
def test_the_schema_refuses_a_typo_where_it_stands(
    flow: dict[str, Any], where: list[Any], validator: jsonschema.Draft7Validator
) -> None:
    """Keeps A13."""
    errors = list(validator.iter_errors(flow))

    assert errors
    assert where in [list(error.absolute_path) for error in errors]
