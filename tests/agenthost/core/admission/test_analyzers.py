"""What a spec says of an analyzer, its faults by field, and the command line that comes of it."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.admission.agent_spec import SpecError, command_line, parse_spec
from agenthost.sandbox import analyzers
from agenthost.sandbox.analyzers import absent_analyzer, seen_of_host, version_in

SPEC = """
name = "semgrep"
description = "Semgrep with rules of our own."
program = "semgrep"
argv = ["{program}", "scan", "--config", "/opt/rules", "--sarif", "{files}"]
dialect = "sarif"
mounts = {rules = "rules"}
[analyzer]
files = ["*.py"]
"""


def spec_of(*changes: tuple[str, str], more: str = "") -> Any:
    text = SPEC
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_spec(tomllib.loads(text + more))


def test_our_program_drives_the_tool_and_the_daemon_reads_jsonl() -> None:
    spec = spec_of()
    python, *start, settings, dashes = command_line(spec, "/usr/bin/python3", {}, "1.2")[:7]

    assert [python, *start, dashes] == ["/usr/bin/python3", "-I", "-S", "/opt/bridge", "analyzer", "--"]
    assert command_line(spec, "/usr/bin/python3", {}, "1.2")[7:] == (
        *("/opt/program/semgrep", "scan", "--config", "/opt/rules", "--sarif", "{files}"),
    )
    assert json.loads(settings) == {
        "name": "semgrep",
        "version": "1.2",
        "files": ["*.py"],
        "batch": 1000,
        "ok_exit": [0, 1],
        "unparsed": [],
        "result": "stdout",
        **dict.fromkeys(("adapter", "skipped", "narrowing", "blocks", "category", "tool"), ""),
        "unless": {},
    }
    assert (spec.dialect, spec.offers, spec.is_driven) == ("jsonl", ("findings", "places"), True)


def test_only_the_setting_says_that_findings_name_places() -> None:
    """A conductor believes the word, so that no spec may have it by another way."""
    text = 'name = "x"\ndescription = "x"\nargv = ["x"]\nfeatures = ["places", "turns"]\n'

    assert parse_spec(tomllib.loads(text)).offers == ()
    assert parse_spec(tomllib.loads(f'{text}evidence = "places"\n')).offers == ("places",)
    assert spec_of(('dialect = "sarif"', 'dialect = "sarif"\nevidence = "quotes"')).offers == ("findings",)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([('program = "semgrep"', 'program = "bin/semgrep"')], "program is 'bin/semgrep': it must be the plain name"),
        ([('program = "semgrep"\n', "")], "argv holds {program}, but there is no parameter"),
        ([('["*.py"]', '"*.py"')], "analyzer.files is '*.py': it must be a list"),
        ([('files = ["*.py"]', "")], "analyzer.files is required where argv holds {files}"),
        ([("files =", "file =")], "analyzer.file is no setting: did you mean 'files'?"),
        ([("files =", "result = 'file'\nfiles =")], "analyzer.result = 'file' and {result} in argv belong together"),
        ([("files =", "result = 'pipe'\nfiles =")], "analyzer.result is 'pipe': it must be one of stdout, file"),
        ([("files =", "ok_exit = [true]\nfiles =")], "analyzer.ok_exit is [True]: it must be a list of exit codes"),
        ([("files =", "unless = {F821 = 'exec('}\nfiles =")], "analyzer.unless is {"),
        ([("files =", "unparsed = 'E9'\nfiles =")], "analyzer.unparsed is 'E9': it must be a list"),
        ([("files =", "skipped = '('\nfiles =")], "analyzer.skipped is not a regular expression"),
        ([("files =", "skipped = 'x'\nfiles =")], "analyzer.skipped is 'x': it must be a regular expression with a group"),
        ([("files =", "adapter = '../x'\nfiles =")], "analyzer.adapter is '../x': it must match"),
        ([('dialect = "sarif"', 'dialect = "text"')], "analyzer needs dialect = 'sarif'"),
        ([("mounts", "turns = true\nmounts")], "turns is not for dialect = 'sarif'"),
        ([("mounts", "evidence = 'none'\nmounts")], "evidence is 'none': it must be 'places' or 'quotes'"),
        ([("mounts", "network = 'model'\nmodel = 'm'\nmounts")], "network = 'model' and dialect = 'sarif' exclude"),
        ([("{rules =", "{program =")], "mounts.program must match"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_its_field(changes: list[tuple[str, str]], fault: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(*changes)
    assert str(caught.value).startswith(fault)


def test_a_model_may_not_name_places() -> None:
    text = 'name = "x"\ndescription = "x"\nargv = ["x"]\nnetwork = "model"\nmodel = "m"\nevidence = "places"\n'
    with pytest.raises(SpecError, match="network = 'model' and evidence = 'places' exclude each other"):
        parse_spec(tomllib.loads(text))


def test_a_parameter_may_not_take_the_name_of_what_the_host_puts_in() -> None:
    with pytest.raises(SpecError, match=r"parameters\.files must have another name"):
        spec_of(more='[parameters.files]\npattern = "x"\ndefault = "x"\n')


def test_what_the_host_lacks_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyzers, "host_program", lambda _: None)

    assert absent_analyzer(spec_of(), is_built_in=True) == (
        "install it: pip install 'conductor-agenthost[survey]', then restart the host"
    )
    assert absent_analyzer(spec_of(), is_built_in=False).startswith("program names 'semgrep', which is in none of /")
    assert seen_of_host(spec_of()) == {}


@pytest.mark.parametrize("field", ["adapter", "narrowing", "blocks"])
def test_a_reader_that_does_not_exist_is_told(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyzers, "host_program", Path)
    spec = spec_of(("files =", f"{field} = 'nonesuch'\nfiles ="))

    assert absent_analyzer(spec, is_built_in=False).startswith(f"analyzer.{field} names 'nonesuch', and there are ")


def test_a_tool_with_packages_sees_those_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyzers, "host_program", lambda name: Path("/bin") / name)
    seen = seen_of_host(spec_of(("mounts", "packages = true\nmounts")))

    assert seen["program/semgrep"] == Path("/bin/semgrep")
    assert (seen["packages"] / "pytest").is_dir()


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("ruff 0.17.6\n", "0.17.6"),
        ("ShellCheck - shell script analysis tool\nversion: 0.11.0\nlicense: GPL 3\n", "0.11.0"),
        ("1.24.3", "1.24.3"),
        ("Haskell Dockerfile Linter 2.15.1-no-git", "2.15.1-no-git"),
        ("unknown\n", "unknown"),
    ],
)
def test_a_version_is_found_wherever_it_stands(printed: str, version: str) -> None:
    assert version_in(printed) == version
