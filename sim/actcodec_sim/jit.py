"""Compilation of the inner loops."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., Any])

_settings: Any = config
"""Numba fills this module in at run time; the type checker does not see its names."""


@cache
def _cache_folder(package: Path) -> str:
    """The folder for compiled functions of ``package``, named after the content of all its modules and of this one.

    Numba's own cache looks only at the file of the compiled function: after a change in another module that the
    function calls into, it would go on with the old code.
    """
    sources = b"".join(source.read_bytes() for source in (Path(__file__), *sorted(package.glob("*.py"))))
    digest = hashlib.sha256(sources).hexdigest()[:16]
    return str(Path(_settings.CACHE_DIR or package / "__pycache__") / f"numba-{digest}")


def compiled(function: Function, **options: Any) -> Function:
    """Compile ``function`` with numba, cached on disk; its type stays visible to the type checker.

    It may call compiled functions of its own package only. ``options`` are numba's.
    """
    folder = _cache_folder(Path(function.__code__.co_filename).parent)
    chosen = _settings.CACHE_DIR
    _settings.CACHE_DIR = folder
    try:
        return cast(Function, njit(cache=True, **options)(function))
    finally:
        _settings.CACHE_DIR = chosen


def compiled_without_allocation(function: Function) -> Function:
    """Compile ``function``, which creates no array and returns none, without reference counts, into its callers.

    Counting them for every field of a named tuple of arrays takes several times as long as the work itself, and so does
    handing the fields over in a call. ``_nrt`` and ``forceinline`` are numba's options for it.
    """
    return compiled(function, _nrt=False, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
