"""Doubts results about calls in C and C++: cppcheck knows neither macros of other headers, nor what a program means by its end.

A second look at the lines below says whether what the result says happens there.
"""

import re

from ..results import Result

MAX_CALL_LINES = 8
MAX_CHECK_LINES = 5
MAX_COLUMNS = 400
# Functions with an effect. Of others cppcheck only guesses that they have one.
_WORK = frozenset(
    {
        *("close", "fclose", "open", "fopen", "freopen", "read", "write", "fread", "fwrite", "fflush", "fputs", "fgets", "fscanf"),
        *("remove", "unlink", "rename", "mkdir", "rmdir", "chdir", "chmod", "kill", "dup", "dup2", "pipe", "fcntl", "ioctl"),
        *("execl", "execlp", "execv", "execve", "execvp", "fork", "waitpid", "system", "setenv", "putenv", "sigaction", "raise"),
        *("bind", "listen", "accept", "connect", "send", "recv", "setsockopt", "snprintf", "sprintf", "sscanf", "strtok"),
        *("pthread_create", "pthread_join", "pthread_mutex_init", "pthread_mutex_lock", "pthread_mutex_unlock", "sem_init"),
    }
)  # fmt: skip
_QUOTED = re.compile(r"'([^']+)'")
_ENDS = re.compile(
    rb"\b(?:_?exit|abort|die|fatal\w*|errx?|panic|[A-Z_]*(?:FATAL|ABORT|DIE|PANIC)\w*)\s*\(|out of memory",
    re.IGNORECASE,
)
_HANDS_BACK = re.compile(rb"\b(?:return|goto|break|continue|throw)\b")
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_TEXTS = re.compile(rb'""(?:\s*"")+')
_MACRO = re.compile(rb'""\s*[A-Za-z_]|\b[A-Za-z_]\w*\s*""')


def _is_no_work(result: Result, _: bytes) -> str:
    quoted = _QUOTED.search(result.message)
    return "" if quoted and quoted[1] in _WORK else "do no work"


def _is_no_plain_format(result: Result, content: bytes) -> str:
    """Returns why the number of values cannot be counted: the format is a variable, or is put together of macros."""
    text = _TEXT.sub(b'""', b" ".join(_from(content, result.start_line, MAX_CALL_LINES)))
    call = _TEXTS.sub(b'""', text.partition(b";")[0])
    is_plain = b'""' in call and not _MACRO.search(call)
    return "" if is_plain else "have no plain format"


def _ends_the_program(result: Result, content: bytes) -> str:
    """Returns why the lost memory does not matter: no check follows, or the program ends."""
    quoted = _QUOTED.search(result.message)
    name = re.escape(quoted[1].encode()) if quoted else b""
    below = b"\n".join(_from(content, result.start_line, MAX_CHECK_LINES + 1))
    check = (
        re.search(rb"!\s*\(?\*?\s*\(?" + name + rb"\b|" + name + rb"\)?\s*==\s*(?:NULL|0|nullptr)\b", below)
        if name
        else None
    )
    if check is None:
        return "are followed by no check"
    after = below[check.end() :]
    end = _HANDS_BACK.search(after)
    return "" if end and not _ENDS.search(after[: end.start()]) else "end the program"


def _is_member(result: Result, _: bytes) -> str:
    """Returns that a file is kept in an object, which may be returned, and closed later."""
    return "are kept in an object" if re.search(r"Resource leak: \S*(?:\.|->)\w", result.message) else ""


def _from(content: bytes, line: int, count: int) -> list[bytes]:
    return [one[:MAX_COLUMNS] for one in content.split(b"\n")[max(line - 1, 0) : line - 1 + count]]


LOOKS = {
    "assertWithSideEffect": _is_no_work,
    "resourceLeak": _is_member,
    "wrongPrintfScanfArgNum": _is_no_plain_format,
    "memleakOnRealloc": _ends_the_program,
}
