"""Chooses the collector of OpenTelemetry that traces are sent to: a setting, else the standard variables. It sends nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from servicekit.errors import shown

_EXPORTER = "OTEL_TRACES_EXPORTER"
_COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]{1,253}:[0-9]{1,5}/?")


@dataclass(frozen=True, slots=True)
class Collector:
    """Where traces are sent; nowhere without an endpoint. `variable` named it, where no setting did.

    `problem` says why what a variable names cannot be used. Variables are often set for all programs: they keep none from starting.
    """

    endpoint: str = ""
    variable: str = ""
    problem: str = ""


def choose_collector(setting: str, environment: Mapping[str, str]) -> Collector:
    """Returns the collector. Raises ValueError where the setting cannot be used."""
    if setting:
        if problem := _problem_of("traces.endpoint", setting):
            raise ValueError(problem)
        return Collector(setting)
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get(_EXPORTER, "otlp") != "otlp"
    name = next((each for each in _COLLECTORS if environment.get(each)), "")
    if is_off or not name:
        return Collector()
    protocol = next((environment[each] for each in _PROTOCOLS if environment.get(each)), "grpc")
    problem = _problem_of(name, environment[name])
    if protocol != "grpc":
        problem = (
            f"{name} names a collector for {shown(protocol)}, and traces are sent over gRPC only: give its port for gRPC "
            "(usually 4317), and the protocol grpc"
        )
    return Collector("" if problem else environment[name], name, problem)


def _problem_of(name: str, endpoint: str) -> str:
    return (
        ""
        if _ENDPOINT.fullmatch(endpoint)
        else f"{name} is {shown(endpoint)}: give http://HOST:PORT, or https://HOST:PORT"
    )
