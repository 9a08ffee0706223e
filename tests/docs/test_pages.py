"""README and docs are short, and true in what they name: files, headings, commands and options are there."""

import re
import subprocess

import click
import pytest

from agenthost.cli import group as agenthost_group
from conductor.cli.main import COMMANDS
from conductor.cli.main import group as conductor_group
from tests.docs.pages import DOCS, PAGES, README, ROOT, Page, page

pytestmark = pytest.mark.processes

MAX_README_LINES = 200
MAX_PAGE_LINES = 400
# Paths are written from the root, in backticks.
FOLDERS = re.compile(
    r"(?:\./dev|(?:agenthost|conductor|servicekit|protos|flows|tests|deploy|benchmarks|docs|\.ci)/[\w./-]*)"
)
EVERY = pytest.mark.parametrize("each", PAGES, ids=lambda page: page.name)


def test_the_readme_takes_minutes_and_no_page_is_a_book() -> None:
    assert len(README.text.splitlines()) <= MAX_README_LINES
    assert {page.name: size for page in DOCS if (size := len(page.text.splitlines())) > MAX_PAGE_LINES} == {}


def test_the_readme_says_what_for_whom_and_how_before_anything_else() -> None:
    headings = re.findall(r"^## (.+)$", README.text, re.MULTILINE)

    assert headings[:3] == ["Is it for you?", "Try it", "Ask a local model"]


def test_the_readme_leads_to_every_page() -> None:
    assert {page.name for page in DOCS} - set(README.links()) == set()


@EVERY
def test_every_link_leads_to_a_file_and_a_heading(each: Page) -> None:
    broken = []
    for link in each.links():
        path, _, anchor = link.partition("#")
        target = (ROOT / each.name).parent / path if path else ROOT / each.name
        if not target.exists() or (anchor and anchor not in Page(str(target.resolve().relative_to(ROOT))).anchors()):
            broken.append(link)

    assert broken == []


@EVERY
def test_every_path_that_is_named_exists(each: Page) -> None:
    named = {text for text in each.named_in_code() if FOLDERS.fullmatch(text)}

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_a_path_that_does_not_exist_would_be_found() -> None:
    assert FOLDERS.fullmatch("conductor/no_such_file.py")
    assert sum(FOLDERS.fullmatch(text) is not None for each in PAGES for text in each.named_in_code()) > 20


def test_every_command_of_dev_is_named_and_exists() -> None:
    listed = subprocess.run([ROOT / "dev"], capture_output=True, text=True, check=True).stdout
    there = set(re.findall(r"^  (\w+)", listed, re.MULTILINE))
    named = {command for page in PAGES for command in re.findall(r"\./dev (\w+)", page.text)}

    assert {"setup", "demo", "test", "check", "bench"} <= there
    assert named == there


GROUPS = {"conductor": conductor_group, "agenthost": agenthost_group}
# A call of one of our programs, where it may stand: its command, and what follows on the line.
CALL = re.compile(r"\b(conductor|agenthost) (?:--output json )?([a-z]+)\b([^\n#|&`]*)")
# What runs such a call in a container; other calls of engines are not ours.
ENGINE = re.compile(r"(?:docker|kubectl) .*?(?: --| conductor| host) (?=(?:conductor|agenthost) )")


def _calls(page: Page) -> list[tuple[str, str, str]]:
    lines = [line for block in page.blocks("sh") for line in block.splitlines()]
    lines += [text for text in page.named_in_code() if text.startswith(("conductor ", "agenthost "))]
    lines = [ENGINE.sub("", line.partition(" #")[0]) for line in lines]
    lines = [line for line in lines if not line.startswith(("systemctl", "useradd", "docker", "kubectl", "#"))]
    return [call for line in lines for call in CALL.findall(line)]


def _options(command: click.Command | None) -> set[str]:
    """Returns the options of a command, and of those below it."""
    own = {option for parameter in command.params for option in parameter.opts} if command else set()
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*map(_options, below))


@EVERY
def test_every_command_and_option_that_is_shown_is_known(each: Page) -> None:
    unknown = []
    for program, name, rest in _calls(each):
        command = GROUPS[program].get_command(click.Context(GROUPS[program]), name)
        known = _options(command)
        unknown += [f"{program} {name} {option}" for option in re.findall(r"--[a-z-]+", rest) if option not in known]
        unknown += [] if command else [f"{program} {name}"]

    assert unknown == []


def test_the_page_of_the_command_line_shows_every_command() -> None:
    shown = {name for program, name, _ in _calls(page("command-line")) if program == "conductor"}

    assert set(COMMANDS) - shown == set()
