"""The graph of steps that are not validated yet: needs may be unknown, doubled or circular. Pure."""

from collections.abc import Sequence

from conductor.v1 import flow_service_pb2

Step = flow_service_pb2.Flow.Step


def ancestors(steps: Sequence[Step]) -> dict[str, set[str]]:
    """Returns the steps that each step may see: all that it needs, directly or through others, known or not."""
    needs = _needs(steps, known_only=False)
    seen: dict[str, set[str]] = {}
    for step in needs:
        reached: set[str] = set()
        waiting = list(needs[step])
        while waiting:
            need = waiting.pop()
            if need not in reached:
                reached.add(need)
                waiting.extend(needs.get(need, ()))
        seen[step] = reached - {step}
    return seen


def find_cycle(steps: Sequence[Step]) -> tuple[str, ...]:
    """Returns steps that need one another in a circle, in that order; empty where there is no circle."""
    needs = _needs(steps, known_only=True)
    done: set[str] = set()
    for start in needs:
        trail: list[str] = []
        walk = [(start, iter(needs[start]))] if start not in done else []
        trail.append(start)
        while walk:
            step, rest = walk[-1]
            need = next((need for need in rest if need not in done), None)
            if need is None:
                done.add(step)
                walk.pop()
                trail.pop()
            elif need in trail:
                return tuple(trail[trail.index(need) :])
            else:
                trail.append(need)
                walk.append((need, iter(needs[need])))
    return ()


def _needs(steps: Sequence[Step], *, known_only: bool) -> dict[str, list[str]]:
    """Returns the needs of each step; of steps with one id, the first counts."""
    known = {step.id for step in steps}
    needs: dict[str, list[str]] = {}
    for step in steps:
        needs.setdefault(step.id, [need for need in step.needs if need in known or not known_only])
    return needs
