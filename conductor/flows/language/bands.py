"""Numbers that differ by band. Pure."""

from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2

PerBand = flow_service_pb2.PerBand


def for_band(numbers: PerBand, band: str) -> int:
    """Returns the number for a band; where that one is not given, the one for the next smaller band; 0 where none is."""
    small, medium, large = numbers.small, numbers.medium or numbers.small, numbers.large
    return {"small": small, "medium": medium}.get(band, large or medium)


def judge_per_band(numbers: PerBand, where: str, most: int, problems: Problems) -> None:
    """Adds the problems of numbers that must be 1 to `most`."""
    given = {name: getattr(numbers, name) for name in ("small", "medium", "large")}
    wrong = {name: number for name, number in given.items() if not 0 <= number <= most}
    if len(wrong) == len(given) and len(set(wrong.values())) == 1:
        problems.add(where, f"must be 1 to {most}, not {numbers.small}")
        return
    for name, number in wrong.items():
        problems.add(f"{where}.{name}", f"must be 1 to {most}, not {number}")
