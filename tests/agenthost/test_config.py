"""A host's file may hold anything: it is read, or refused by the name of what is wrong. Keeps K5."""

from pathlib import Path
from typing import Any

import pytest

from agenthost.config import Settings, load_settings
from agenthost.core.admission.agent_spec import SpecError, parse_spec
from agenthost.core.admission.order import HIGHEST
from agenthost.core.snapshots.eviction import MOST_KEEPING
from agenthost.errors import ConfigurationError

FLAGS = {"listen": "unix:/x", "data": "/tmp/x", "name": "x"}
MANY = "[" * 5_000


def loaded(folder: Path, text: str) -> Settings:
    """Reads a file whose settings no flag hides."""
    (folder / "host.toml").write_text(text)
    hidden = {line.partition(" = ")[0] for line in text.splitlines()}
    return load_settings(folder / "host.toml", {name: value for name, value in FLAGS.items() if name not in hidden})


@pytest.mark.parametrize("value", ["3", "true", "nan", '["x"]', "{ a = 1 }", "2026-01-01", r'"\u0000"'])
@pytest.mark.parametrize("name", ["listen", "data", "name", "log_format", "log_level"])
def test_a_setting_that_is_no_text_is_refused_by_its_name(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is "):
        loaded(tmp_path, f"{name} = {value}\n")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('log_level = "loud"', "one of debug, info"),
        ('log_format = "xml"', "one of plain, json"),
        ('agents_dirs = "x"', "a list of paths"),
        ("agents_dirs = [3]", "a list of paths"),
        ("agents_dirs = 3", "a list of paths"),
        (f'agents_dirs = ["{"x" * 5_000}"]', "is not a directory"),
        ("slots = true", "slots is True"),
        ("slots = 1.5", "slots is 1.5"),
        ("unheard_seconds = nan", "unheard_seconds is nan"),
        ("limits = 3", "limits is 3: it must be a table"),
        ("labels = 3", "labels is 3: it must be a table"),
        ("[labels]\ngpu = true", "labels.gpu is True: name and value are texts"),
        (f"[labels]\ngpu = '{'x' * 64}'", "at most 63 characters"),
        ("[labels]\n" + "".join(f"l{n} = 'x'\n" for n in range(33)), "at most 32 texts"),
        ("models = 3", "models is 3: it must be at most 100 tables"),
        ("commands = 3", "commands is 3: it must be at most 64 tables"),
        ("[commands]\nt = 3", "commands.t: is 3: it must be a table"),
        ("[commands.T]\nargv = ['x']", "commands.T: 'T' must match"),
        ("[commands.t]\nargv = []", "commands.t: argv is required"),
        ("[commands.t]\nargv = ['x']\nnetwork = 'model'", "'network' is not a setting of a command"),
        ("[commands.t]\nargv = ['{suite}']", "argv holds {suite}, but there is no parameter"),
        ("[commands.t]\nargv = ['x']\n[commands.t.parameters.a]\nvalues = []", "parameters.a.values is"),
        ("[commands.t]\nargv = ['x']\nresources = {tmp_bytes = -1}", "resources.tmp_bytes is -1"),
        ("unheard_seconds = inf", "unheard_seconds is inf"),
        ("unheard_bytes = 1.5", "a whole number above 0"),
        ('data = "~no-such-user/x"', "data is '~no-such-user/x'"),
        ('listen = "::1:7420"', "listen: '::1:7420' is not clear"),
        (f"slots = {'1' * 5_000}", "host.toml"),
        (f"slots = {MANY}", "host.toml"),
    ],
)
def test_a_bad_file_is_refused_by_its_key(text: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text + "\n")

    assert part in str(caught.value)


WRONG = ["-1", "true", "nan", '["x", 1]', "[[]]", "{ a = 1 }", "2026-01-01", "1e400", r'"\u0000"']


def test_every_limit_and_every_setting_of_a_model_is_refused_by_its_name(tmp_path: Path) -> None:
    model = '[models.m]\nurl = "http://127.0.0.1:1"\n'
    keys = [
        "api",
        "model",
        "key_env",
        "key_file",
        "ca_file",
        "max_concurrent",
        "context",
        "slots",
        "pool",
        "paths",
        "provider_tools",
    ]
    limits = [(f"limits.{name}", "[limits]\n") for most in (HIGHEST, MOST_KEEPING) for name in most.__slots__]
    for place, table in [*limits, *((f"models.m.{key}", model) for key in keys)]:
        for value in WRONG:
            with pytest.raises(ConfigurationError) as caught:
                loaded(tmp_path, f"{table}{place.rpartition('.')[2]} = {value}\n")
            assert place in str(caught.value), value


def test_every_setting_of_an_agent_is_refused_by_its_name() -> None:
    plain: dict[str, Any] = {"name": "n", "description": "d", "argv": ["a"]}
    wrong: list[Any] = [-1, 1.5, True, [1], [[]], {"zzz": 1}, "\0", float("inf")]
    texts = (
        "name",
        "description",
        "prompt",
        "dialect",
        "network",
        "model",
        "version",
        "tested",
        "enforcement",
        "install",
    )
    lists = ("argv", "version_command", "features", "requires", "hides")
    tables = ("environment", "parameters", "mounts", "files", "resources", "bridge")
    for key in (*texts, *lists, *tables, "input", "turns"):
        for value in wrong:
            if key in ("input", "turns") and value is True:
                continue
            with pytest.raises(SpecError) as caught:
                parse_spec({**plain, key: value})
            assert key in str(caught.value), value


def test_labels_of_flags_stand_beside_those_of_the_file_and_win(tmp_path: Path) -> None:
    """Keeps C9."""
    (tmp_path / "host.toml").write_text('[labels]\nzone = "office"\ngpu = "no"\n')
    settings = load_settings(tmp_path / "host.toml", {**FLAGS, "labels": ("gpu=yes", "rack=a=1")})
    with pytest.raises(ConfigurationError, match="--label takes NAME=VALUE, not 'gpu'"):
        load_settings(None, {**FLAGS, "labels": ("gpu",)})

    assert dict(settings.labels) == {"zone": "office", "gpu": "yes", "rack": "a=1"}
