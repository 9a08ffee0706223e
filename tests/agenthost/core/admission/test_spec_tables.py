"""A spec says what its agent finds in the sandbox, and cannot widen it. Keeps D2 and E1."""

import pytest

from agenthost.core.admission.agent_spec import SpecError, command_line, files_of, parse_spec
from agenthost.core.sandbox.policy import Policy, bwrap_arguments

PLAIN = {"name": "tool", "description": "A tool.", "argv": ["/opt/agent/tool"]}


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"mounts": {"agent": "/x"}}, "none of agent, bridge, packages, program"),
        ({"mounts": {"../etc": "/x"}}, "must match"),
        ({"mounts": {"node": ""}}, "path of a folder"),
        ({"mounts": {f"m{number}": "/x" for number in range(9)}}, "at most 8"),
        ({"files": {"../.bashrc": "x"}}, "without '..'"),
        ({"files": {"/etc/passwd": "x"}}, "plain path"),
        ({"files": {"a": "x" * 70_000}}, "at most 65536 bytes"),
        ({"files": {"a": "x", "a/b": "y"}}, "file and the folder of another"),
        ({"resources": {"memory_bytes": 1}}, "memory_bytes is none"),
        ({"resources": {"processes": 1_000_000}}, "from 1 to 4096"),
        ({"resources": {"open_files": True}}, "whole number"),
        ({"hides": ["a/b"]}, "hides: 'a/b' must be a name at the root"),
        ({"hides": [".."]}, "hides: '..' must be a name"),
        ({"hides": ".tool"}, "hides is '.tool': it must be a list"),
        ({"bridge": {"protocol": "telnet"}}, "one of acp"),
        ({"bridge": {"protocol": "acp", "mode": "plan; rm"}}, "must be a word"),
        ({"bridge": {"protocol": "acp", "program": "/bin/sh"}}, "nothing else"),
        ({"bridge": {"protocol": "pi", "mode": "plan"}}, "bridge.mode is for protocol = 'acp' only"),
        ({"bridge": {"protocol": "acp"}, "dialect": "text"}, "bridge's business"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(table: dict[str, object], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        parse_spec({**PLAIN, **table})


def test_a_bridge_runs_the_command_and_speaks_for_it() -> None:
    spec = parse_spec({**PLAIN, "bridge": {"protocol": "acp", "mode": "plan"}})

    assert command_line(spec, "/py", {}) == (
        "/py",
        "-I",
        "-S",
        "/opt/bridge",
        "acp",
        "plan",
        "",
        "--",
        "/opt/agent/tool",
    )
    assert (spec.dialect, spec.prompt, spec.takes_input) == ("jsonl", "file", False)
    spec = parse_spec({**PLAIN, "bridge": {"protocol": "codex"}})
    assert command_line(spec, "/py", {})[3:] == ("/opt/bridge", "codex", "--", "/opt/agent/tool")


def test_files_hold_the_models_address_and_parameters_and_other_braces_stay() -> None:
    text = '{"url": "{model_url}/v1", "model": "{model}", "other": {unknown}}'
    spec = parse_spec(
        {**PLAIN, "files": {".tool/settings.json": text}, "parameters": {"model": {"pattern": ".*", "default": "m"}}}
    )

    assert files_of(spec, {"model": "small"}) == {
        ".tool/settings.json": '{"url": "http://127.0.0.1:8787/v1", "model": "small", "other": {unknown}}'
    }


def test_mounts_are_read_only_below_opt_and_files_private_below_the_home() -> None:
    arguments = " ".join(bwrap_arguments(Policy(mounts=("node",), files={".a/b": "x"})))

    assert "--ro-bind {mount0} /opt/node" in arguments
    assert "--perms 0600 --file {file0} /home/agent/.a/b" in arguments
    assert arguments.index("/opt/node") < arguments.index("--chdir /workspace --remount-ro /")
