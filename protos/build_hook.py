"""Runs the proto generator whenever pip builds or installs the project."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateProtos(BuildHookInterface):  # type: ignore[type-arg]
    """Makes `conductor/v1` and `agenthost/v1` complete before files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002, D102
        runpy.run_path(str(Path(__file__).parent / "generate.py"), run_name="__main__")
