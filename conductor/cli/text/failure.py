"""Exit codes, and what a failed call looks like to a person: what is wrong, where, and the next thing to type."""

import errno
import os
import re
from typing import TYPE_CHECKING

from conductor.cli.text.following import completed

if TYPE_CHECKING:
    import grpc

RUN_FAILED = 1
USAGE = 2
CANCELLED = 3
TIMED_OUT = 4
FOUND = 5
INCOMPLETE = 6
UNREACHABLE = 69
NOT_AUTHORISED = 77
INTERRUPTED = 130

# How long a call waits for its answer, where nothing else is said.
ANSWER_SECONDS = 30.0
# A server that accepts a connection and says nothing within this does not answer.
CONNECT_SECONDS = 10.0

# gRPC's words for a connection that was accepted, and on which nothing was said.
_ACCEPTED = "before receiving SETTINGS"
_RUN_ID = re.compile(r"\b[0-9a-z]{26}\b")

_CODES = {
    "UNAVAILABLE": UNREACHABLE,
    "UNAUTHENTICATED": NOT_AUTHORISED,
    "PERMISSION_DENIED": NOT_AUTHORISED,
    "DEADLINE_EXCEEDED": TIMED_OUT,
}


# What to type next where the server names no other way: it does not know that this command line asks.
_NEXT = {
    "QUESTION_REQUIRED": 'ask one:  conductor run FLOW PATH --question "…"',
    "FLOW_NOT_FOUND": "see them:  conductor flows (a project's are among them after:  conductor serve --project DIR)",
    "HOST_NOT_FOUND": "see them:  conductor hosts",
    "ROOT_NOT_ALLOWED": "or send the directory:  conductor run … --push",
    "RUN_NOT_FOUND": "see them:  conductor runs",
    "STEP_NOT_FOUND": "see them:  conductor show RUN",
    "RUN_NOT_RUNNING": "see how it ended:  conductor show RUN",
    "HOST_UNAVAILABLE": "see what is wrong:  conductor doctor",
    "READ_ONLY_UNAVAILABLE": "see what is missing, on the host:  agenthost doctor",
}


class CommandError(Exception):
    """A command that ends badly. `lines` follow the message; `code` is the exit code."""

    def __init__(self, message: str, *, lines: tuple[str, ...] = (), code: int = USAGE) -> None:
        super().__init__(completed(message))
        self.lines = tuple(map(completed, lines))
        self.code = code

    def shown(self) -> str:
        """Returns the text for stderr."""
        return "\n".join([f"conductor: {self}", *(f"  {line}" for line in self.lines)])


def from_rpc(
    error: "grpc.RpcError", address: str, seconds: float = ANSWER_SECONDS, *, is_passing: bool = False
) -> CommandError:
    """Translates a failed call, with every detail that the server gave. `seconds` is how long the call waited at most.

    `is_passing`: the conductor ends with the command, so that there is nothing to ask it afterwards.
    """
    from servicekit.printing.terminal_text import printable

    name = error.code().name
    reason, told = _details(error)
    details = error.details() or name
    # What the message or another line says already is not said again.
    lines = [line for line in told if line not in details]
    lines += [_with_run(_NEXT[reason], details)] if reason in _NEXT and not is_passing else []
    if name == "DEADLINE_EXCEEDED" and not reason:
        return _unanswered(address, seconds)
    if name == "UNAVAILABLE" and _ACCEPTED in details:
        return _unanswered(address, CONNECT_SECONDS)
    if name == "UNAVAILABLE" and not reason:
        from conductor.cli.text.tls_trouble import tls_trouble

        if (trouble := tls_trouble(address)) is not None:
            return trouble
        return _unreached(address, details)
    if name == "UNIMPLEMENTED" and not reason:
        return CommandError(
            f"what listens at {address} is no conductor of this version; an agent host, perhaps",
            lines=("name the conductor's address:  conductor --address ADDRESS …, or CONDUCTOR_ADDRESS",),
            code=UNREACHABLE,
        )
    text = printable(details)
    suffix = f" ({reason})" if reason else f" ({name})"
    return CommandError(text + suffix, lines=tuple(printable(line) for line in lines), code=_CODES.get(name, USAGE))


def _unreached(address: str, details: str) -> CommandError:
    """Explains that nothing listens there; what is to start on another machine is not started by a command here."""
    from conductor.cli.addresses import read_addresses

    codes = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
    why = next((f": {os.strerror(code).lower()}" for code in codes if os.strerror(code) in details), "")
    if all(one.is_local for one in read_addresses(address)):
        why, start = "", "start one:  conductor up, or conductor serve --host NAME=ADDRESS"
    else:
        start = f"start it on that machine:  conductor serve --listen {address}"
    return CommandError(
        f"no conductor answers at {address}{why}",
        lines=(start, "or name it:  conductor --address ADDRESS …, or CONDUCTOR_ADDRESS"),
        code=UNREACHABLE,
    )


def _unanswered(address: str, seconds: float) -> CommandError:
    """Explains that a process holds the address without answering: starting another conductor would make it worse."""
    path = address.removeprefix("unix:")
    port = address.rsplit(":", maxsplit=1)[-1]
    where = f"-ltnp 'sport = :{port}'" if path == address else f"-lxp src {path}"
    return CommandError(
        f"something listens at {address} and does not answer within {seconds:.0f} s; it may be stopped or overloaded",
        lines=(f"see which process it is:        ss {where}", "if it is stopped, let it go on:  kill -CONT PID"),
        code=UNREACHABLE,
    )


def _with_run(following: str, details: str) -> str:
    """Puts the id of the run that the message is about into the next command, where it names one."""
    run = _RUN_ID.search(details)
    return following.replace(" RUN", f" {run[0]}") if run else following


def _violation(field: str, text: str) -> str:
    """Returns `FILE:LINE: field: problem` where the server names a place, as `conductor validate` does; else `field: problem`."""
    if not field:
        return text
    place = re.match(r"(?P<place>\S+:\d+): ", text)
    return f"{place['place']}: {field}: {text[place.end() :]}" if place else f"{field}: {text}"


def _details(error: "grpc.RpcError") -> tuple[str, list[str]]:
    from conductor.cli.text.problem_lines import excerpt
    from servicekit.statuses import read_refusal

    refusal = read_refusal(error)
    hints = [refusal.hint] if refusal.hint else []
    # What the message or the hint says already is not said twice.
    facts = [(key, value) for key, value in refusal.metadata if key not in ("hint", "class")]
    hints += [f"{key}: {value}" for key, value in facts if value not in "\n".join((refusal.message, *hints))]
    return refusal.reason, excerpt([_violation(field, text) for field, text in refusal.violations]) + hints
