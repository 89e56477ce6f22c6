"""Export: a plan's real numbers become the integer tables of format v1."""

from __future__ import annotations

from actcodec.export.integers import beside, export_folded, export_tables, integer_tables

__all__ = ["beside", "export_folded", "export_tables", "integer_tables"]
