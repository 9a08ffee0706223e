"""What `conductor doctor` sees of a conductor's database in PostgreSQL, which it looks through itself."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conductor.cli.text.failure import CommandError
from conductor.cli.text.wording import counted, size
from servicekit.printing.terminal_text import printable

if TYPE_CHECKING:
    from conductor.store.postgresql.examination import Examination
    from conductor.store.records import Survey

SHOWN_DAMAGES = 10
_INSTALL = "install it:  pip install 'conductor-agenthost[postgresql]'"

# (whether it is good, what, what to do, details)
Seen = tuple[bool, str, tuple[str, ...], tuple[str, ...]]


def look_at_database(url: str, told_id: str, *, is_named: bool = True) -> Iterator[Seen]:
    """Looks through the database at a URL. `told_id` is the id of the conductor that answers, or empty.

    One that the caller did not name need not be reached from here: the conductor reaches it.
    """
    from conductor.errors import DatabaseMovedError, StatusError

    try:
        from conductor.store.postgresql.examination import examine

        found = asyncio.run(examine(url))
    except ImportError as error:
        text = f"the driver of PostgreSQL cannot be loaded: {error}"
        yield False, text, (_INSTALL,), ()
        return
    except StatusError as error:
        text, hints = printable(str(error)), tuple(map(printable, error.hint.splitlines()))
        if is_named or isinstance(error, DatabaseMovedError):
            yield False, text, hints, ()
        else:
            named = "or name it:  conductor doctor --store URL"
            yield True, "its database was not checked, since it cannot be read from here", (), (text, *hints, named)
        return
    yield _rows_look(found)
    for doubt, advice in found.doubts:
        yield False, f"the server of the {printable(found.shown)}: {doubt}", (advice,), ()
    if told_id not in ("", found.conductor_id):
        advice = "name the database with --store, or the conductor with --address"
        yield False, "this is not the database of the conductor that answers", (advice,), ()


def survey_database(url: str) -> "Survey":
    """Surveys the database at a URL. Raises the service's errors, and CommandError without the driver."""
    try:
        from conductor.store.postgresql.examination import survey
    except ImportError as error:
        raise CommandError(f"the driver of PostgreSQL cannot be loaded: {error}", lines=(_INSTALL,), code=1) from error
    return asyncio.run(survey(url))


def _rows_look(found: "Examination") -> Seen:
    text = f"{printable(found.shown)}: {size(found.usage.used_bytes)} used, {counted(found.usage.runs, 'run')}"
    if not found.damages:
        return True, f"{text}, every row can be read", (), ()
    named = tuple(printable(f"run {run}: {what}" if run else what) for run, what in found.damages[:SHOWN_DAMAGES])
    more = ("and more",) if len(found.damages) > SHOWN_DAMAGES else ()
    runs = sorted({run for run, _ in found.damages if run})[:SHOWN_DAMAGES]
    advice = tuple(f"let go of what is damaged:  conductor delete {run}" for run in runs)
    return False, f"{text}, damaged", advice or ("restore a backup of the server",), named + more
