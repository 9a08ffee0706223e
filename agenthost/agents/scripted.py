"""Acts out the scenario in its prompt, as the scripted agent. Standard library only; it runs inside the sandbox.

A scenario is the lines after a line `#scripted`: one directive each; `say TEXT` is `do_say`, and the docstrings are the manual.
Without one it answers the prompt's first line and ends well. It has one turn, or more: see `turn`. It speaks our JSON lines.
It is for tests and for trying flows; it judges nothing. Every attempt to escape the sandbox is reported as an answer, and as a
denial when it was refused.
"""

import errno
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

MARK = "#scripted"
REPAIRING = "You have answered this before."  # a conductor's words in the prompt of an attempt that repairs an answer
CHUNK_BYTES = 64 * 1024
MODEL_PORT = 8787
MAX_SHOWN = 1000
FETCH_SECONDS = 60.0


class Agent:
    """Performs directives and remembers the findings for the end."""

    def __init__(self) -> None:
        self._findings: list[dict[str, object]] = []
        self._told_result = False
        self._repairs = False
        self._received = ""

    def play(self, prompt: str) -> None:
        """Performs the scenario of a prompt; without one, answers its first line."""
        self._repairs = self._repairs or REPAIRING in prompt
        lines = [line.strip() for line in prompt.splitlines()]
        if MARK not in lines:
            self.perform(f"say {next((line for line in lines if line), 'Nothing was asked.')}")
            return
        for line in lines[lines.index(MARK) + 1 :]:
            if line and not line.startswith("#"):
                self.perform(line)

    def perform(self, line: str) -> None:
        """Does one line; an unknown directive is a log line, so that a prompt may hold other text."""
        name, _, rest = line.partition(" ")
        do = getattr(self, f"do_{name.replace('-', '_')}", None)
        if do is None:
            self._tell("log", text=f"not a directive: {line}\n")
            return
        try:
            do(rest)
        except (ValueError, LookupError, OSError) as error:
            # A scenario is written by people, and a line of it that cannot be done deserves one line, not our stack.
            why = (error.strerror if isinstance(error, OSError) else None) or f"{error}; {do.__doc__}"
            self._tell("log", text=f"cannot do `{line}`: {why}\n")
            raise SystemExit(1) from None

    def end(self) -> int:
        """Writes the findings, if there are any, and returns the exit code of a good end."""
        if self._findings and not self._told_result:
            self._tell("final", result={"findings": self._findings})
        self._findings, self._told_result = [], False
        return 0

    def do_turn(self, word: str) -> None:
        """`turn [failed]`: ends a turn, waits for the next prompt, and plays it; then the next line follows. EOF ends all."""
        self.end()
        self._tell("turn", failed=word == "failed")
        line = sys.stdin.readline()
        if not line:
            raise SystemExit(0)
        self._received = json.loads(line)["text"]
        if MARK in self._received.splitlines():
            self.play(self._received)

    def do_first(self, directive: str) -> None:
        """`first DIRECTIVE`: does it, unless the prompt shows a former answer that is to be repaired."""
        if not self._repairs:
            self.perform(directive)

    def do_received(self, _: str) -> None:
        """`received`: answers the prompt that began this turn."""
        size = len(self._received)
        cut = f" of {size} characters" if size > MAX_SHOWN else ""
        self._tell("answer", text=f"received: {self._received[:MAX_SHOWN]!r}{cut}\n")

    def do_process(self, _: str) -> None:
        """`process`: answers when this process began, which tells it from every other."""
        self._tell("answer", text=f"process: {Path('/proc/self/stat').read_text().split()[21]}\n")

    def do_say(self, text: str) -> None:
        """`say TEXT`: a line of the answer."""
        self._tell("answer", text=f"{text}\n")

    def do_token(self, text: str) -> None:
        """`token TEXT`: a piece of the answer, without a line's end."""
        self._tell("answer", text=text)

    def do_fill(self, size: str) -> None:
        """`fill BYTES`: an answer of so many bytes."""
        left = int(size)
        while left > 0:
            self._tell("answer", text="x" * min(left, CHUNK_BYTES))
            left -= CHUNK_BYTES

    def do_reason(self, text: str) -> None:
        """`reason TEXT`: a line of reasoning."""
        self._tell("reasoning", text=f"{text}\n")

    def do_log(self, text: str) -> None:
        """`log TEXT`: a line of the log."""
        self._tell("log", text=f"{text}\n")

    def do_deny(self, text: str) -> None:
        """`deny TEXT`: reports that something was refused."""
        self._tell("denial", text=text)

    def do_tool(self, rest: str) -> None:
        """`tool ID NAME`: a tool call and its result."""
        call, _, name = rest.partition(" ")
        self._tell("tool_call", id=call, name=name, arguments={"path": "README.md"})
        self._tell("tool_result", id=call, failed=False, text="done")

    def do_usage(self, rest: str) -> None:
        """`usage IN OUT`: tokens so far."""
        taken, given = rest.split()
        self._tell("usage", input_tokens=int(taken), output_tokens=int(given), turns=1)

    def do_json(self, rest: str) -> None:
        """`json LINE`: this line on stdout as it is."""
        self._write(rest.encode() + b"\n")

    def do_bytes(self, digits: str) -> None:
        """`bytes HEX`: these bytes on stdout as they are."""
        self._write(bytes.fromhex(digits))

    def do_flood(self, text: str) -> None:
        """`flood BYTES [LINE]`: so many bytes on stdout, as fast as they are taken; the line again and again."""
        size, _, repeated = text.partition(" ")
        line = f"{repeated or 'flood'}\n".encode()
        left = int(size)
        block = line * max(1, CHUNK_BYTES // len(line))
        while left > 0:
            self._write(block[:left])
            left -= len(block)

    def do_stderr(self, text: str) -> None:
        """`stderr TEXT`: a line on stderr."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def do_sleep(self, seconds: str) -> None:
        """`sleep SECONDS`: waits."""
        time.sleep(float(seconds))

    def do_hang(self, _: str) -> None:
        """`hang`: waits for ever."""
        while True:
            signal.pause()

    def do_ignore(self, name: str) -> None:
        """`ignore TERM`: ignores a signal from now on."""
        signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_IGN)

    def do_exit(self, code: str) -> None:
        """`exit CODE`: ends at once."""
        raise SystemExit(int(code))

    def do_signal(self, name: str) -> None:
        """`signal KILL`: ends by a signal."""
        os.kill(os.getpid(), signal.Signals[f"SIG{name}"])

    def do_fork(self, count: str) -> None:
        """`fork N`: so many grandchildren in sessions of their own, that sleep and ignore SIGTERM."""
        for _ in range(int(count)):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    time.sleep(3600)
                os._exit(0)
            os.wait()

    def do_write(self, path: str) -> None:
        """`write PATH`: tries to write a file."""
        self._try(f"write {path}", lambda: Path(path).write_text("written\n"))

    def do_read(self, path: str) -> None:
        """`read PATH`: tries to read a file."""
        self._try(f"read {path}", lambda: Path(path).read_bytes().decode(errors="replace")[:4096])

    def do_connect(self, rest: str) -> None:
        """`connect HOST PORT`: tries to open a connection."""
        host, port = rest.split()
        self._try(f"connect {rest}", lambda: socket.create_connection((host, int(port)), timeout=2).close())

    def do_fetch(self, rest: str) -> None:
        """`fetch METHOD PATH [BODY]`: asks the model's endpoint, and tells the status and each piece of the answer as it comes."""
        method, path, *body = rest.split(" ", 2)
        try:
            link = http.client.HTTPConnection("127.0.0.1", MODEL_PORT, timeout=FETCH_SECONDS)
            link.request(method, path, body="".join(body).encode() or None, headers={"Authorization": "Bearer mine"})
            answer = link.getresponse()
            self._tell("answer", text=f"fetch {method} {path}: {answer.status}\n")
            while piece := answer.read1(CHUNK_BYTES):
                self._tell("answer", text=piece.decode(errors="replace"))
            self._tell("answer", text="\n")
        except (OSError, http.client.HTTPException) as error:
            self._tell("answer", text=f"fetch {method} {path}: {type(error).__name__}\n")

    def do_resolve(self, name: str) -> None:
        """`resolve NAME`: looks a name up."""
        self._try(f"resolve {name}", lambda: str(socket.getaddrinfo(name, 443)))

    def do_finding(self, rest: str) -> None:
        """`finding SEVERITY PATH START END TITLE`: a finding whose evidence is those lines."""
        severity, path, start, end, title = rest.split(" ", 4)
        lines = Path("/workspace", path).read_text(errors="replace").split("\n")
        quote = "\n".join(lines[int(start) - 1 : int(end)])
        self._add_finding(severity, path, (int(start), int(end)), title, quote)

    def do_invent(self, rest: str) -> None:
        """`invent SEVERITY PATH START END TITLE`: a finding whose quote stands nowhere."""
        severity, path, start, end, title = rest.split(" ", 4)
        self._add_finding(severity, path, (int(start), int(end)), title, "this text stands nowhere in the file")

    def do_final(self, text: str) -> None:
        """`final JSON`: this result."""
        self._told_result = True
        self._tell("final", result=json.loads(text))

    def do_echo_input(self, count: str) -> None:
        """`echo-input N`: waits for so many inputs, one line each, and answers each."""
        for _ in range(int(count)):
            self._tell("answer", text=f"input: {sys.stdin.readline()}")

    def do_stdin(self, _: str) -> None:
        """`stdin`: answers what is left on stdin."""
        self._tell("answer", text=f"stdin: {sys.stdin.read()!r}\n")

    def do_env(self, _: str) -> None:
        """`env`: answers the environment."""
        self._tell("answer", text="".join(f"{name}={value}\n" for name, value in sorted(os.environ.items())))

    def do_argv(self, _: str) -> None:
        """`argv`: answers the command line."""
        arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]
        self._tell("answer", text=f"{json.dumps([argument.decode() for argument in arguments])}\n")

    def do_repeat(self, rest: str) -> None:
        """`repeat N DIRECTIVE`: so many times; `{n}` is the number of the turn."""
        count, _, directive = rest.partition(" ")
        for number in range(int(count)):
            self.perform(directive.replace("{n}", str(number)))

    def _add_finding(self, severity: str, path: str, lines: tuple[int, int], title: str, quote: str) -> None:
        evidence = {"path": path, "start_line": lines[0], "end_line": lines[1], "quote": quote}
        finding = {"id": "", "severity": severity, "title": title, "claim": title, "category": "scripted"}
        self._findings.append({**finding, "evidence": [evidence]})

    def _try(self, what: str, act: Callable[[], object]) -> None:
        try:
            outcome = act()
        except OSError as error:
            text = f"{what}: {errno.errorcode.get(error.errno or 0, type(error).__name__)}"
            self._tell("denial", text=text)
        else:
            text = f"{what}: done {outcome if isinstance(outcome, str) else ''}".rstrip()
        self._tell("answer", text=f"{text}\n")

    def _tell(self, kind: str, **content: object) -> None:
        self._write(json.dumps({"type": kind, **content}).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def main() -> int:
    """Plays the prompt."""
    agent = Agent()
    agent.play(Path("/run/prompt").read_text(errors="replace"))
    return agent.end()


if __name__ == "__main__":
    raise SystemExit(main())
