"""The options that say what a run is to be: those of `run`, and of `plan`, which shows it before."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class PathOrUrl(click.Path):
    """A directory of this machine, or the URL of a repository that the conductor fetches."""

    name = "path"

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns a Path, or the text of a URL."""
        if isinstance(value, str) and "://" in value:
            return value
        if isinstance(value, str) and re.fullmatch(r"[\w.-]+@[\w.-]+:\S+", value) and not Path(value).exists():
            self.fail(
                f"'{value}' is git's address for SSH; a repository is fetched from https://HOST/PATH.git", param, ctx
            )
        return super().convert(value, param, ctx)


BANDS = ("small", "medium", "large", "auto")
_OPTIONS = (
    click.argument("flow"),
    click.argument("path", metavar="[PATH|URL]", type=PathOrUrl(), default="."),
    click.option("--question", help="What you want to know: the flow's prompts hold it. `-` reads it from stdin."),
    click.option(
        "--band",
        type=click.Choice(BANDS),
        help="How much effort: how many agents look, and how deep, as the flow says; auto chooses by the size.  [default: small]",
    ),
    click.option(
        "--input",
        "extras",
        multiple=True,
        metavar="NAME=VALUE",
        help="A further input, typed by the flow's input_schema.",
    ),
    click.option("--commit", metavar="REVISION", help="Read this commit instead of the working tree."),
    click.option(
        "--revision",
        metavar="REVISION",
        help="Of a URL: read this branch, tag or whole commit id.  [default: its HEAD]",
    ),
    click.option(
        "--since", metavar="REVISION", help="Judge what changed since the branch left REVISION, such as main."
    ),
    click.option("--uncommitted", is_flag=True, help="Judge what the working tree changed since HEAD."),
    click.option(
        "--push/--no-push",
        default=None,
        help="Send PATH to the conductor, or only name it.  [default: send it where the conductor cannot see it]",
    ),
    click.option("--include-secrets", is_flag=True, help="Send uncommitted files, too, that look like secrets."),
    click.option(
        "--paths", multiple=True, metavar="PATH", help="Judge only this file or folder below PATH; may be repeated."
    ),
    click.option(
        "--agent",
        "agents",
        multiple=True,
        metavar="NAME",
        help="Ask this agent wherever the flow names it among others; may be repeated, in order of preference.",
    ),
    click.option(
        "--host-label",
        "host_labels",
        multiple=True,
        metavar="NAME=VALUE",
        help="Run only on hosts with this label; repeatable.",
    ),
    click.option(
        "--project",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Whose personas and contracts a FILE brings along.  [default: of the .conductor/ beside it]",
    ),
    click.option("--title", help="A title for people.  [default: the beginning of the question]"),
    click.option(
        "--label", "labels", multiple=True, metavar="NAME=VALUE", help="For finding the run again; repeatable."
    ),
    click.option("--priority", type=click.IntRange(-100, 100), default=0, help="Higher goes first."),
)


def request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds FLOW, PATH and the options of a run to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
