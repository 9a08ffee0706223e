"""Every command that is printed to be typed next goes to the conductor that was asked, and shows no secret. Keeps F8."""

import ast
import re
from pathlib import Path

import click
import pytest

import conductor.cli
from conductor.cli.main import COMMANDS, WITHOUT_CONDUCTOR, group, main
from conductor.cli.text.failure import CommandError
from conductor.cli.text.following import completed

ASKING = "|".join(COMMANDS.keys() - WITHOUT_CONDUCTOR - {"migrate"})


def shown(arguments: list[str], text: str) -> str:
    """Completes a text as a command with these arguments does."""
    told: list[str] = []

    @click.command()
    def spy() -> None:
        told.append(completed(text))

    with group.make_context("conductor", [*arguments, "runs"]) as context:
        context.invoke(group.callback, **context.params)  # type: ignore[arg-type]
        with click.Context(spy, parent=context, obj=context.obj):
            spy.callback()  # type: ignore[misc]
    return told[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("follow it:  conductor watch 01k", "follow it:  conductor --address b:7410 watch 01k"),
        ("conductor watch 01k", "conductor --address b:7410 watch 01k"),
        ("a\nb:  conductor runs", "a\nb:  conductor --address b:7410 runs"),
        ("a problem; conductor hosts says why", "a problem; conductor --address b:7410 hosts says why"),
        ("iconv FILE | conductor run …", "iconv FILE | conductor --address b:7410 run …"),
        ("start one:  conductor up, or conductor serve --host A=B", None),
        ("the conductor runs on another machine", None),
        ("look again:  conductor doctor --address c:1", None),
        ("for this run:  conductor run … --ephemeral", None),
        ("conductor migrate --from A --to B", None),
    ],
)  # fmt: skip
def test_a_command_names_the_address_that_was_typed(text: str, expected: str | None) -> None:
    assert shown(["--address", "b:7410"], text) == (expected or text)


def test_what_was_not_typed_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_ADDRESS", "b:7410")
    monkeypatch.setenv("CONDUCTOR_TOKEN", "cdr_secret")

    assert shown([], "follow it:  conductor watch 01k") == "follow it:  conductor watch 01k"


def test_certificates_are_repeated_and_a_token_is_not_shown() -> None:
    typed = ["--bundle", "my file", "--token", "cdr_secret", "--address", "a:1,b:2"]

    said = shown(typed, "follow it:  conductor watch 01k")

    assert said == "follow it:  conductor --address a:1,b:2 --token TOKEN --bundle 'my file' watch 01k"


def test_errors_are_completed_with_what_the_server_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--address", "unix:/x.sock"]) == 2
    assert "\n  conductor --address unix:/x.sock prune --older-than 90d" in capsys.readouterr().err
    assert CommandError("no", lines=("conductor runs",)).shown() == "conductor: no\n  conductor runs"


def test_no_module_prints_a_command_past_this() -> None:
    """A line that `say` prints with a command of ours would go to another conductor."""
    pattern = re.compile(rf":  conductor (?:{ASKING})\b")
    past = [
        f"{path.name}:{call.lineno}"
        for path in Path(conductor.cli.__path__[0]).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "say"
        if any(isinstance(part, ast.Constant) and pattern.search(str(part.value)) for part in ast.walk(call))
    ]

    assert past == []
