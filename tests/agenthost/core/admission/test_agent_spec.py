import tomllib
from pathlib import Path

import pytest

import agenthost
from agenthost.core.admission.agent_spec import SpecError, command_line, environment_of, parse_spec, secrets_of

MINIMAL = {"name": "toy", "description": "A toy.", "argv": ["{python}", "{lens}", "x{lens}"]}
LENS = {"lens": {"pattern": "a|b", "default": "a"}}


def test_an_argument_is_replaced_only_as_a_whole() -> None:
    spec = parse_spec({**MINIMAL, "parameters": LENS})

    assert command_line(spec, "/usr/bin/python3", {"lens": "b c"}) == ("/usr/bin/python3", "b c", "x{lens}")


def test_only_allowed_names_come_through_from_the_hosts_environment() -> None:
    """Keeps D8."""
    spec = parse_spec(
        {**MINIMAL, "parameters": LENS, "environment": {"allow": ["LANG", "ABSENT"], "set": {"MODE": "plan"}}}
    )

    assert environment_of(spec, {"LANG": "C", "SECRET": "s"}) == {"LANG": "C", "MODE": "plan"}


def test_secret_names_come_through_and_are_known_as_secrets() -> None:
    """Keeps D8 E10."""
    environment = {"allow": ["LANG"], "secret": ["TOKEN", "ABSENT"], "set": {"MODE": "plan"}}
    spec = parse_spec({**MINIMAL, "parameters": LENS, "environment": environment})
    host = {"LANG": "C", "TOKEN": "t0ken-value", "OTHER": "o"}

    assert environment_of(spec, host) == {"LANG": "C", "MODE": "plan", "TOKEN": "t0ken-value"}
    assert secrets_of(spec, host) == ("t0ken-value",)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "../x"}, "name"),
        ({"argv": []}, "argv"),
        ({"argv": "ls -l"}, "list of strings"),
        ({"argv": ["{nothing}"]}, "no parameter"),
        ({"argv": ["a\0b"]}, "list of strings"),
        ({"network": "host"}, "network"),
        ({"dialect": "xml"}, "text, jsonl"),
        ({"shell": True}, "'shell' is not a setting"),
        ({"input": True, "prompt": "stdin"}, "prompt = 'file'"),
        ({"parameters": {"lens": {"pattern": "(", "default": ""}}}, "regular expression"),
        ({"parameters": {"lens": {"pattern": "a", "default": "b"}}}, "default"),
        ({"parameters": {"python": {"pattern": "a", "default": "a"}}}, "python"),
        ({"environment": {"keep": []}}, "allow"),
        ({"description": 3}, "description"),
        ({"input": "no", "prompt": "file"}, "input is 'no': it must be true or false"),
        ({"turns": 2, "dialect": "jsonl"}, "turns is 2: it must be true or false"),
        ({"turns": True}, "turns = true needs dialect = 'jsonl'"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(change: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError, match=text.replace("(", r"\(")):
        parse_spec({**MINIMAL, "parameters": LENS, **change})


def test_the_built_in_specs_are_right() -> None:
    folder = Path(agenthost.__file__).parent / "agents"
    specs = [parse_spec(tomllib.loads(path.read_text())) for path in sorted(folder.glob("*.toml"))]

    assert {"scripted", "survey"} <= {spec.name for spec in specs}


def test_the_parameter_model_may_lack_a_default_and_fills_a_variable() -> None:
    table = {
        **MINIMAL,
        "argv": ["x"],
        "parameters": {"model": {"pattern": "[a-z0-9:]+"}},
        "environment": {"set": {"OPENAI_MODEL": "{model}", "URL": "at {model}"}},
    }
    spec = parse_spec(table)

    assert environment_of(spec, {}, {"model": "qwen3:8b"}) == {"OPENAI_MODEL": "qwen3:8b", "URL": "at {model}"}
    with pytest.raises(SpecError, match=r"parameters\.lens\.default is required"):
        parse_spec({**table, "parameters": {"lens": {"pattern": "[a-z]+"}}})


def test_only_the_setting_says_that_an_agent_has_turns() -> None:
    """Keeps D13: a conductor counts on the word, and must not get it from a list of words."""
    words = {"parameters": LENS, "features": ["findings", "turns"], "dialect": "jsonl"}

    assert parse_spec({**MINIMAL, **words}).offers == ("findings",)
    assert parse_spec({**MINIMAL, **words, "turns": True}).offers == ("findings", "turns")
