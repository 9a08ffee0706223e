"""The commands `agenthost agents …`, as an operator types them. Keeps D12."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agenthost.agent_specs import BUILT_IN, find_agents, name_of
from agenthost.catalogue.commands import agents
from agenthost.catalogue.listing import listing
from agenthost.cli import main
from servicekit.printing.cells import wrapped
from tests.kit.proof import proof_of_the_session

pytestmark = pytest.mark.processes

SPEC = """\
name = "mine"
description = "Says hello."
argv = ["/bin/echo", "hello"]

[parameters.lens]
pattern = "[a-z]+"
default = "all"
"""
NAMES = sorted(name_of(path) for path in BUILT_IN.glob("*.toml"))


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path / "none"))
    monkeypatch.setattr("agenthost.catalogue.check.prove", proof_of_the_session)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(agents, arguments, standalone_mode=False)


@pytest.mark.processes
def test_the_list_has_a_line_for_every_agent_that_begins_with_its_name() -> None:
    heading, *lines, _, last = call("list").output.splitlines()

    assert [line.split()[0] for line in lines if not line.startswith(" ")] == NAMES
    told = dict(zip(NAMES, lines[::2], strict=True))
    confined = dict(zip(NAMES, lines[1::2], strict=True))
    assert told["qwen"].split()[:3] == ["qwen", "no", "0.24.4"]
    assert last == "to have one more:  agenthost agents install NAME"
    assert max(map(len, (heading, *told.values()))) <= 96  # a row fits a terminal
    assert "the sandbox; its plan mode" in confined["qwen"]
    assert "[models.anthropic]" in told["claude"]
    assert "built in" in told["reader"]
    assert "findings, tools" in told["reader"]
    assert told["codex"].split()[1] == "no"


def test_on_a_terminal_what_confines_an_agent_is_wrapped_between_words() -> None:
    told = listing(asyncio.run(find_agents(())))
    lines = [line for each in told for line in wrapped(each, 4, 80).splitlines()]

    assert max(map(len, lines)) <= 80
    assert any(line.startswith("    the sandbox; its plan mode") for line in lines)


def test_the_list_has_the_operators_own_agents_and_those_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SPEC)
    (tmp_path / "bad.toml").write_text("name = 7\n")
    lines = call("list", "--agents-dir", str(tmp_path)).output.splitlines()

    assert next(line for line in lines if line.startswith("mine ")).split()[1] == "yes"
    assert "name is 7: it must be a string" in next(line for line in lines if line.startswith("bad "))


@pytest.mark.parametrize("command", ["install", "remove"])
def test_what_cannot_be_installed_is_a_wrong_use_that_says_what_can(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agents", command, "nope"]) == 2
    assert "there are claude, codex, gemini, opencode, pi, qwen" in capsys.readouterr().err


def test_remove_says_when_there_is_nothing() -> None:
    assert call("remove", "qwen").output == "qwen is not installed\n"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('name = "mine"', 'name = "Mine"', ":1: name 'Mine' must match"),
        ("argv =", "args =", ":3: 'args' is not a setting"),
        (
            "argv =",
            "promt =",
            ":3: 'promt' is not a setting of an agent: did you mean 'prompt'? There are analyzer, argv,",
        ),
        (
            "\n[parameters",
            "[resources]\nproceses = 9\n[parameters",
            ":5: resources.proceses is none: did you mean 'pro",
        ),
        ('argv = ["/bin/echo", "hello"]', "argv = 7", ":3: argv is 7: it must be a list of strings"),
        ('"hello"]', '"{loud}"]', ":3: argv holds {loud}"),
        ('default = "all"', 'default = "7"', ":7: parameters.lens.default is '7'"),
        ('pattern = "[a-z]+"', 'pattern = "["', ":6: parameters.lens.pattern is not a regular expression"),
        ('argv = ["/bin/echo"', "argv = [[", ":3: Invalid value"),
        ('name = "mine"', "name = mine", ":1: Invalid value (at line 1, column 8); a text stands in double quotes"),
        ("[parameters.lens]", "[files]\n'../x' = 'y'\n[parameters.lens]", ":6: files.'../x' must be a plain path"),
        (
            "\n[parameters",
            "bridge = {protocol = 'smoke'}\n[parameters",
            ":4: bridge.protocol is 'smoke': it must be one of acp, codex, pi",
        ),
        ("\n[parameters", "dialect = 'xml'\n[parameters", ":4: dialect is 'xml'"),
        ("\n[parameters", "tested = 'newest'\n[parameters", ":4: tested is 'newest': it must be comparisons"),
    ],
)
def test_what_is_wrong_with_a_spec_is_told_by_line_and_field(tmp_path: Path, old: str, new: str, where: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SPEC.replace(old, new))
    result = call("check", str(path))

    assert result.return_value == 1
    assert f"{path}{where}" in result.output


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        (
            "/bin/echo",
            "/opt/agent/echo",
            ":3: argv begins",
            "'/opt/agent/echo', but /opt/agent/echo is outside of what",
        ),
        (
            "/bin/echo",
            "echoes",
            ":3: argv begins",
            "the program 'echoes' was not found in /usr/local/bin:/usr/bin:/bin",
        ),
        ("\n[parameters", "mounts = {node = 'nowhere'}\n[parameters", ":4: mounts.node", "nowhere, which is no folder"),
        ("\n[parameters", "install = 'nowhere'\n[parameters", ":4: install names", "nowhere, which does not exist"),
    ],
)
def test_what_a_spec_names_and_is_not_there_is_told_by_line_and_field_and_no_field_is_good_before(
    tmp_path: Path, old: str, new: str, place: str, told: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SPEC.replace(old, new))
    result = call("check", str(path))

    (sentence,) = result.output.splitlines()
    assert result.return_value == 1
    assert sentence.startswith(f"✘ {path}{place}")
    assert told in sentence


def test_a_program_that_this_machine_lacks_is_no_fault_of_a_field(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SPEC.replace("\n[parameters", "requires = ['tool-that-is-not']\n[parameters"))
    good, lacking = call("check", str(tmp_path / "mine.toml")).output.splitlines()

    assert good.endswith("every field is good")
    assert lacking.startswith("✘ mine cannot run here: the program 'tool-that-is-not' was not found")


def test_a_release_that_was_not_tested_is_told_in_the_list(tmp_path: Path) -> None:
    command = "version_command = ['/bin/echo', 'tool 3.1']\ntested = '>=1, <3'\n[parameters"
    (tmp_path / "mine.toml").write_text(SPEC.replace("\n[parameters", command))
    line = next(
        one for one in call("list", "--agents-dir", str(tmp_path)).output.splitlines() if one.startswith("mine")
    )

    assert "yes, tool 3.1, not tested" in line
    assert ">=1, <3" in line


def test_a_good_spec_is_checked_with_its_sandbox(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SPEC)
    result = call("check", "mine", "--agents-dir", str(tmp_path))

    assert result.return_value == 0, result.output
    assert "every field is good" in result.output
    assert "mine: its sandbox held against all" in result.output


def test_check_says_what_an_agent_lacks(tmp_path: Path) -> None:
    assert "qwen cannot run here: install it: agenthost agents install qwen" in call("check", "qwen").output
    (tmp_path / "models.toml").write_text("")
    lacking = call("check", "reader", "--config", str(tmp_path / "models.toml")).output
    assert "reader cannot run here: it needs the model 'default'" in lacking
    assert "nope: there is no such agent; there are " in call("check", "nope").output
