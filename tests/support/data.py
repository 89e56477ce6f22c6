"""Data that not every machine has."""

from __future__ import annotations

import pytest

from actcodec.data import data_root
from actcodec.errors import ActcodecError


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test where one of ``names``, files or folders, is not under the data root."""
    missing = [name for name in names if not _present(name)]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)} under the data root")


def _present(name: str) -> bool:
    try:
        return (data_root() / name).exists()
    except ActcodecError:
        return False
