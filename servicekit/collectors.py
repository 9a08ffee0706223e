"""Chooses the collector of OpenTelemetry that traces are sent to: a setting, else the standard variables. It sends nothing."""

import re
from collections.abc import Mapping

from servicekit.errors import shown

_EXPORTER = "OTEL_TRACES_EXPORTER"
_COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]{1,253}:[0-9]{1,5}/?")


def choose_collector(setting: str, environment: Mapping[str, str]) -> str:
    """Returns the endpoint; empty for none. Raises ValueError where it cannot be used."""
    if setting:
        return _checked("traces.endpoint", setting)
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get(_EXPORTER, "otlp") != "otlp"
    name = next((each for each in _COLLECTORS if environment.get(each)), "")
    if is_off or not name:
        return ""
    protocol = next((environment[each] for each in _PROTOCOLS if environment.get(each)), "grpc")
    if protocol != "grpc":
        raise ValueError(
            f"{name} names a collector for {shown(protocol)}, and traces are sent over gRPC only: give its port for gRPC "
            "(usually 4317), and the protocol grpc"
        )
    return _checked(name, environment[name])


def _checked(name: str, endpoint: str) -> str:
    if not _ENDPOINT.fullmatch(endpoint):
        raise ValueError(f"{name} is {shown(endpoint)}: give http://HOST:PORT, or https://HOST:PORT")
    return endpoint
