"""`conductor init` and `conductor flows new`: write a commented flow to begin with. Nothing that is there is changed."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from conductor.cli.text.failure import CommandError
from conductor.cli.text.following import say_next
from conductor.flows.library.layers import built_in
from servicekit.printing.page import say

FOLDER = ".conductor"
SCHEMA = "flow.schema.json"
FIRST_FLOW = "first_look"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_SCHEMA_LINE = f"# yaml-language-server: $schema=../{SCHEMA}\n"
_WITH_OURS = {
    "# persona: reviewer": "persona: reviewer",
    "contracts: [read_only, evidence, output]": "contracts: [read_only, evidence, output, house_rules]",
}


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write .conductor/ into DIR (this directory by default): a flow, a persona and a contract to begin with."""
    root = folder / FOLDER
    for path, text in _project(root).items():
        say(f"  {'wrote' if _write(path, text) else 'kept '}  {path}", err=True)
    flow = root / "flows" / f"{FIRST_FLOW}.yaml"
    say_next(_next_commands(flow, shlex.quote(str(folder))), err=True)
    say(f"for everyone:   conductor serve --project {shlex.quote(str(folder))}", err=True)


def new_flow(given: str) -> None:
    """Writes a flow with this name: into the .conductor/ of this directory, or else into the directory itself."""
    name = given.removeprefix("flows/")
    if not _NAME.match(name):
        text = f"'{given}' cannot be a flow's name: it is a-z, 0-9, _ and -, begins with a letter, and has at most 64 characters"
        raise CommandError(text)
    project = Path(FOLDER)
    path = project / "flows" / f"{name}.yaml" if project.is_dir() else Path(f"{name}.yaml")
    head = _SCHEMA_LINE if (project / SCHEMA).is_file() else ""
    if not _write(path, head + _flow(name.replace("_", " ").replace("-", " ").capitalize())):
        raise CommandError(f"{path} is there already; nothing was written", lines=(f"conductor validate {path}",))
    say(f"  wrote  {path}", err=True)
    say_next(_next_commands(path, "PATH"), err=True)


def _project(root: Path) -> Mapping[Path, str]:
    """Returns the files of a project, with what they hold."""
    from conductor.flows.editing.json_schema import flow_schema

    flow = _flow("A first look")
    for plain, ours in _WITH_OURS.items():
        flow = flow.replace(plain, ours)
    return {
        root / "flows" / f"{FIRST_FLOW}.yaml": _SCHEMA_LINE + flow,
        **{root / path.relative_to(_shipped()): path.read_text() for path in _texts()},
        root / SCHEMA: json.dumps(flow_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def _shipped() -> Path:
    return built_in().flows / "starter"


def _texts() -> Iterator[Path]:
    yield from sorted(_shipped().glob("*/*.md"))


def _flow(title: str) -> str:
    text = (_shipped() / "flow.yaml").read_text()
    return re.sub(r"^title: .*$", f"title: {title}", text, count=1, flags=re.MULTILINE)


def _write(path: Path, text: str) -> bool:
    """Writes a file that is not there yet; returns whether it was written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if path.exists() or path.is_symlink():
            return False
        raise CommandError(f"{path.parent} is no directory") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}") from error
    return True


def _next_commands(flow: Path, workspace: str) -> str:
    file = shlex.quote(str(flow))
    return f"\ncheck it:       conductor validate {file}\nrun it:         conductor run {file} {workspace}"
