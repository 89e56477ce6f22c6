"""Tables in the forms that other tools take: a C header, and ONNX models of what a site's codec does to its values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actcodec.deploy.c_header import write_c_header
from actcodec.deploy.qonnx import write_qonnx
from actcodec.tables import Tables

__all__ = ["FORMATS", "write_c_header", "write_qonnx"]

FORMATS: dict[str, Callable[[Path, Tables], tuple[Path, ...]]] = {"c-header": write_c_header, "qonnx": write_qonnx}
"""What writes tables into a directory, by the name of the form; it returns the files."""
