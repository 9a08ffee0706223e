"""No value of a parameter says more in an agent's file than its place means. Keeps D2 E1."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.agent_specs import find_agents
from agenthost.core.admission.file_texts import filled, unfit_values
from agenthost.core.models.facts import ListedModel, ModelFacts
from agenthost.models.settings import read_models

ODD = ['"', "\\", "\n", '", "permission": "allow', "'''", '"""', "\x7f", "{other}", "😀", "#"]
HOSTILE = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
JSON = '{"model": "door/{model}", "{model}": [1], "n": {size}}'
TOML = '''
model = "door/{model}"   # it's "{model_url}
text = \'\'\'"{size}"\'\'\'
long = """
{model}
"""
size = {size}
'''


@given(HOSTILE)
def test_a_value_in_quotes_of_json_stays_the_one_text_that_it_is(model: str) -> None:
    values = {"model": model, "size": "7"}
    assert not list(unfit_values((("a.json", JSON),), values))

    read = json.loads(filled("a.json", JSON, values))
    # In the order of the text: of two keys that are the same, JSON takes the last.
    assert read == {"model": f"door/{model}"} | {model: [1]} | {"n": 7}


@given(HOSTILE)
def test_a_value_in_quotes_of_toml_stays_the_one_text_that_it_is(model: str) -> None:
    values = {"model": model, "size": "7", "model_url": "http://127.0.0.1:8787"}
    assert not list(unfit_values((("a.toml", TOML),), values))

    read = tomllib.loads(filled(".codex/a.toml", TOML, values))
    assert read == {"model": f"door/{model}", "long": f"{model}\n", "size": 7, "text": '"7"'}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.json", '{"n": {size}}'),
        ("a.toml", "n = {size}"),
        ("a.toml", "n = '{size}'"),
        ("a.toml", 'n = 1 # "{size}"'),
        ("a.yaml", 'n: "{size}"'),
        ("settings", "n={size}"),
    ],
)
@pytest.mark.parametrize("value", ["1\nother = 2", '1"', "1, 2", "'", "a b", "#", "${HOME}", "`id`"])
def test_a_value_that_a_place_cannot_hold_is_refused_by_name(path: str, text: str, value: str) -> None:
    (unfit,) = unfit_values(((path, text),), {"size": value})

    assert unfit.field == "start.parameters[size]"
    assert path in unfit.text
    assert not list(unfit_values(((path, text),), {"size": "12"}))


@pytest.mark.processes
async def test_an_agent_whose_own_default_does_not_fit_is_unavailable_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(
        """
name = "odd"
description = "Has a default that its file cannot hold."
argv = ["/bin/true"]
files = {"settings.ini" = "model={model}"}
parameters = {model = {pattern = ".*", default = "a b"}}
"""
    )
    odd = (await find_agents((tmp_path,)))["odd"]

    assert f"{tmp_path / 'odd.toml'}: the default of parameters[model] must match" in odd.unavailable_reason
    assert "settings.ini" in odd.unavailable_reason


@pytest.mark.processes
async def test_a_value_of_a_flow_that_a_file_cannot_hold_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(
        """
name = "odd"
description = "Has a file of a kind that we do not know."
argv = ["/bin/true", "{model}"]
files = {"settings.ini" = "model={model}"}
parameters = {model = {pattern = "[^x]*", default = "small"}}
"""
    )
    odd = (await find_agents((tmp_path,)))["odd"]

    assert [one.field for one in odd.violations({"model": "a\nb"})] == ["start.parameters[model]"]
    assert [one.text for one in odd.violations({"model": "x"})] == ["must match [^x]*"]
    assert [one.text[:17] for one in odd.violations({"model": "a\0b"})] == ["must not hold NUL"]
    assert odd.violations({"model": "large"}) == ()


@pytest.mark.parametrize("listed", ['a", "permission": "allow', "--yolo", "a b", "x: y"])
@pytest.mark.processes
async def test_a_name_that_a_server_lists_counts_only_where_a_flow_could_have_given_it(
    tmp_path: Path, listed: str
) -> None:
    """A model's server is not the operator, nor the author of a flow."""
    (tmp_path / "odd.toml").write_text(
        """
name = "odd"
description = "Asks whatever model its endpoint lists."
argv = ["/bin/true", "{model}"]
network = "model"
model = "default"
parameters = {model = {pattern = "[a-z][a-z0-9.-]*|", default = ""}}
"""
    )
    models = read_models({"default": {"url": "http://127.0.0.1:9"}})
    odd = (await find_agents((tmp_path,), models))["odd"]

    assert replace(odd, facts=ModelFacts(models=(ListedModel(listed),))).argv({}) == ("/bin/true", "")
    assert replace(odd, facts=ModelFacts(models=(ListedModel("small"),))).argv({}) == ("/bin/true", "small")
