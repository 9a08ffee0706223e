from dataclasses import replace

import pytest

from agenthost.core.sandbox.policy import (
    HISTORY,
    WORKSPACE,
    HostLayout,
    Policy,
    Resources,
    bwrap_arguments,
    command,
    digest,
    rlimits,
    texts,
)

FULL = Policy(
    layout=HostLayout(masks=("/proc/keys",)),
    own_paths=("/root/.pyenv/versions/3.11.7",),
    environment={"LENS": "risks"},
    has_history=True,
    has_install=True,
    has_prompt_file=True,
)


def options(policy: Policy) -> list[tuple[str, ...]]:
    """The arguments, cut before each option."""
    cut: list[list[str]] = []
    for argument in bwrap_arguments(policy):
        if argument.startswith("--"):
            cut.append([])
        cut[-1].append(argument)
    return [tuple(option) for option in cut]


def test_every_namespace_is_its_own() -> None:
    """Keeps E3."""
    flags = {option[0] for option in options(FULL)}
    assert {f"--unshare-{kind}" for kind in ("user", "pid", "net", "ipc", "uts", "cgroup")} <= flags
    assert not {flag for flag in flags if "share-net" in flag and "unshare" not in flag}
    assert {"--disable-userns", "--die-with-parent", "--new-session", "--clearenv"} <= flags
    assert ("--cap-drop", "ALL") in options(FULL)


def test_nothing_of_the_host_is_bound_writable() -> None:
    """Keeps E3."""
    assert {option[0] for option in options(FULL) if "bind" in option[0]} <= {
        "--ro-bind",
        "--ro-bind-try",
        "--ro-bind-data",
    }


def test_every_writable_place_has_a_size_and_the_rest_is_sealed() -> None:
    """Keeps E3: an unsized tmpfs takes half of the memory."""
    cut = options(FULL)
    for at, option in enumerate(cut):
        if option[0] == "--tmpfs":
            assert cut[at - 1][0] == "--size", option
    assert cut.index(("--remount-ro", "/dev")) > cut.index(("--dev", "/dev"))
    mounts = [
        at for at, option in enumerate(cut) if option[0] in ("--ro-bind", "--tmpfs", "--ro-bind-data", "--symlink")
    ]
    assert cut.index(("--remount-ro", "/")) > max(mounts)


def test_only_what_the_policy_names_is_bound() -> None:
    """Keeps E3."""
    bare = set(options(Policy()))
    assert {target for option in set(options(FULL)) - bare if "bind" in option[0] for target in option[2:]} == {
        HISTORY,
        "/opt/agent",
        "/run/prompt",
        "/root/.pyenv/versions/3.11.7",
        "/proc/keys",
    }
    assert ("--ro-bind", "{tree}", WORKSPACE) in bare


def test_git_starts_nothing_and_locks_nothing() -> None:
    """Keeps E5."""
    variables = {option[1]: option[2] for option in options(FULL) if option[0] == "--setenv"}
    count = int(variables["GIT_CONFIG_COUNT"])
    settings = {variables[f"GIT_CONFIG_KEY_{at}"]: variables[f"GIT_CONFIG_VALUE_{at}"] for at in range(count)}
    assert settings["core.hooksPath"] == "/dev/null"
    assert settings["core.fsmonitor"] == "false"
    assert (settings["core.pager"], settings["protocol.allow"]) == ("cat", "never")
    assert "diff.external" not in settings, "an empty one breaks `git diff`"
    assert variables["GIT_OPTIONAL_LOCKS"] == "0"
    assert variables["GIT_CONFIG_GLOBAL"] == "/dev/null"


@pytest.mark.parametrize("name", ["LD_PRELOAD", "BASH_ENV", "A=B", "", "1A", "A B"])
def test_a_variable_that_would_change_the_gate_is_refused(name: str) -> None:
    """Keeps D8."""
    with pytest.raises(ValueError, match="may not have the variable"):
        bwrap_arguments(replace(FULL, environment={name: "x"}))


def test_the_agents_command_stands_behind_the_gate_as_it_is() -> None:
    assert command(FULL, ("survey", "--lens", "a b; c"))[-4:] == ("gate", "survey", "--lens", "a b; c")


def test_the_digest_follows_the_policy_and_no_secret() -> None:
    """Keeps E6."""
    assert digest(FULL) == digest(replace(FULL, environment={"LENS": "docs"}))
    others = (
        replace(FULL, environment={}),
        replace(FULL, has_history=False),
        replace(FULL, resources=Resources(processes=513)),
        replace(FULL, resources=Resources(file_bytes=1)),
        replace(FULL, layout=HostLayout()),
        replace(FULL, own_paths=()),
    )
    assert len({digest(policy) for policy in (FULL, *others)}) == len(others) + 1


def test_limits_are_as_asked() -> None:
    limits = rlimits(replace(FULL, resources=Resources(data_bytes=0, open_files=99)))
    assert limits["RLIMIT_NOFILE"] == 99
    assert limits["RLIMIT_CORE"] == 0
    assert "RLIMIT_DATA" not in limits
    assert "RLIMIT_AS" not in limits


def test_the_user_has_an_entry_and_names_resolve_to_nothing() -> None:
    assert texts(Policy())["passwd"].startswith("agent:x:1000:1000:")
    assert texts(Policy())["resolv"] == ""
