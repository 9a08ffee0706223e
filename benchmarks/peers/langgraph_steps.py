"""Runs no-op steps in LangGraph with its SqliteSaver: `python langgraph_steps.py FOLDER STEPS CHAINS LENGTH`. Prints JSON.

`durability="sync"` has each step stored before the next begins, as ours are; synchronous is FULL. In process: nothing is sent.
Runs in an environment of its own, and knows nothing of this project.
"""

import json
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    last: Annotated[str, lambda _, after: after]


def step(_: State) -> dict:
    return {"last": "x"}


def chain(length: int) -> StateGraph:
    graph = StateGraph(State)
    names = [f"s{number}" for number in range(length)]
    for name in names:
        graph.add_node(name, step)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    return graph


def fan(width: int) -> StateGraph:
    graph = StateGraph(State)
    for number in range(width):
        graph.add_node(f"s{number}", step)
        graph.add_edge(START, f"s{number}")
        graph.add_edge(f"s{number}", END)
    return graph


def invoke(graph, thread: str) -> None:
    config = {"configurable": {"thread_id": thread}, "recursion_limit": 10_000}
    graph.invoke({"last": ""}, config, durability="sync")


def timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def at_once(graph, count: int) -> None:
    threads = [threading.Thread(target=invoke, args=(graph, f"chain{number}")) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(folder: Path, steps: int, chains: int, length: int) -> None:
    connection = sqlite3.connect(folder / "langgraph.sqlite", check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    connection.execute("PRAGMA synchronous = FULL")
    one, wide, short = (made.compile(checkpointer=saver) for made in (chain(steps), fan(steps), chain(length)))
    invoke(short, "warm")
    found = {
        "chain": steps / timed(lambda: invoke(one, "one")),
        "fan": steps / timed(lambda: invoke(wide, "wide")),
        "chains": chains * length / timed(lambda: at_once(short, chains)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
