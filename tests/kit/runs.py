"""Reads from runs, as the API shows them, how the slots were shared between them."""

from collections.abc import Sequence

from conductor.v1.run_service_pb2 import Run
from servicekit.times import seconds
from tests.kit.shares import Shares


def measure_shares(runs: Sequence[Run], slots: int) -> Shares:
    """Returns the course of runs that have ended, from the moment when the first was asked for."""
    shares, begin = Shares(len(runs), slots), min(seconds(run.create_time) for run in runs)
    for number, run in enumerate(runs):
        for step in run.steps:
            shares.note(seconds(step.ready_time) - begin, number, queued=1)
            for attempt in step.attempts:
                shares.note(seconds(attempt.create_time) - begin, number, begun=1, queued=-1)
                shares.note(seconds(attempt.end_time) - begin, number, begun=-1)
    return shares


def find_settled(runs: Sequence[Run]) -> float:
    """Returns from when on slots can be shared: what began before the last run was there has ended, and is never stopped."""
    begin, last = min(seconds(run.create_time) for run in runs), max(seconds(run.create_time) for run in runs)
    attempts = [attempt for run in runs for step in run.steps for attempt in step.attempts]
    return max(seconds(one.end_time) for one in attempts if seconds(one.create_time) <= last) - begin
