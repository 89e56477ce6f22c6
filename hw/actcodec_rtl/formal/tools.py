"""The tools that the proofs need beyond the package: Yosys (pyosys) and an SMT solver (bitwuzla), both from PyPI."""

from __future__ import annotations

import importlib
import importlib.util
from importlib import metadata
from types import ModuleType

from actcodec.errors import ActcodecError

TOOLS = ("pyosys", "bitwuzla")


def missing_tools() -> list[str]:
    """The tools that are not installed."""
    return [tool for tool in TOOLS if importlib.util.find_spec(tool) is None]


def require_tools() -> None:
    """Raise ActcodecError with the line that installs them where a tool is missing."""
    missing = missing_tools()
    if missing:
        raise ActcodecError(" and ".join(missing), "not installed; pip install -c constraints.txt -e '.[dev]'")


def tool_versions() -> dict[str, str]:
    """The tools' versions, and that of what writes the RTLIL."""
    return {tool: metadata.version(tool) for tool in ("amaranth", *TOOLS)}


def load_bitwuzla() -> ModuleType:
    """The solver's module; it has no types."""
    return importlib.import_module("bitwuzla")
