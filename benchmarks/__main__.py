"""Runs the benchmarks: `./dev bench [NAME …] [--short] [--markdown FILE] [--json FILE]`. Prints a table in Markdown for each.

Exit code 1 means that a promise broke (output was lost, for example), whatever the speed; a missed goal is only reported.
`--short` does everything once and small, to see that it works: its figures mean nothing, and it installs nothing.
"""

import argparse
import asyncio
import importlib
import signal
import sys
import time
from pathlib import Path

from benchmarks.measuring import BrokenPromiseError, Report, machine, write_json, write_markdown
from servicekit.logs import configure_logs

TITLES = {
    "steps": "durable steps, beside LangGraph and DBOS",
    "relay": "from an agent's write to a watcher's receipt, stored on the way",
    "spawn": "an agent in its sandbox, beside bare bubblewrap",
    "recovery": "start, recovery, cancel and idle memory",
    "store": "how the database grows: appending, listing, replaying, bytes per payload",
    "pushes": "a workspace of 300 MB on its way to a conductor: first, again, after a changed line, cut",
    "models": "what an agent's door to its model costs",
    "fairness": "how slots are shared between runs, and what deciding it costs",
    "bridges": "what a bridge adds to the agent that it drives",
    "scale": "the core alone with many hosts and agents: decisions, memory, recovery",
    "curves": "one conductor under rising load: runs, agents, watchers, tokens a second, until something gives",
}


# What `--store postgresql` measures: beside SQLite, but for the curves, which take minutes on each engine.
ON_ENGINES = {
    "steps": "durable steps on SQLite and on PostgreSQL",
    "relay": "from an agent's write to a watcher's receipt, stored in SQLite and in PostgreSQL",
    "store": "appending and reading, on SQLite and on PostgreSQL",
    "curves": "one conductor on PostgreSQL under rising load: runs, agents, watchers, tokens a second, until something gives",
}


async def measure(name: str, *, is_short: bool, is_of_engines: bool) -> Report:
    report = Report(name, ON_ENGINES[name] if is_of_engines else TITLES[name], is_short, is_of_engines)
    begun = time.monotonic()
    await importlib.import_module(f"benchmarks.{name}").measure(report)
    report.seconds = time.monotonic() - begun
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures ours beside others, in one run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TITLES)}; all where none is given")
    parser.add_argument("--short", action="store_true", help="once and small: whether it works, not how fast")
    parser.add_argument(
        "--store",
        choices=["postgresql"],
        help=f"measure {', '.join(ON_ENGINES)} on PostgreSQL, beside SQLite where turns are short, and not beside others",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables there too, and where they come from"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - TITLES.keys()):
        parser.error(f"there is no benchmark '{unknown[0]}'; there are {', '.join(TITLES)}")
    titles = ON_ENGINES if chosen.store else TITLES
    if chosen.store and (other := sorted(set(chosen.names) - ON_ENGINES.keys())):
        parser.error(f"'{other[0]}' is not measured on engines; there are {', '.join(ON_ENGINES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # services and agents end with it, as with Ctrl-C
    configure_logs("plain", "error")  # our own log would stand between the tables
    about, reports, code = machine(), [], 0
    for name in chosen.names or titles:
        try:
            report = asyncio.run(measure(name, is_short=chosen.short, is_of_engines=bool(chosen.store)))
        except BrokenPromiseError as broken:
            print(f"bench {name}: a promise broke: {broken}", file=sys.stderr)
            code = 1
            continue
        reports.append(report)
        print(report.markdown(), flush=True)
        print(f"bench {name}: {report.seconds:.0f} s", file=sys.stderr)
    if chosen.markdown:
        write_markdown(chosen.markdown, about, reports)
    if chosen.json:
        write_json(chosen.json, about, reports)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
