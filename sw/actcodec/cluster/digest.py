"""What code computed a result, as a hash: a result of other code is another result."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

SUFFIXES = (".py", ".v", ".vlt")
"""Files that decide what a package computes. Configurations lie in it in a wheel only; tasks are given theirs."""


@cache
def sources_digest(*names: str) -> str:
    """SHA-256 of the source files of modules, and of packages with all below them.

    Taken once a process: what is imported does not change with its files.
    """
    digest = hashlib.sha256()
    for name in names:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module {name}", name=name)
        origin = Path(spec.origin)
        files = [origin] if spec.submodule_search_locations is None else sorted(origin.parent.rglob("*"))
        for path in files:
            if path.suffix in SUFFIXES:
                content = path.read_bytes()
                digest.update(f"{name} {path.relative_to(origin.parent).as_posix()} {len(content)}\n".encode())
                digest.update(content)
    return digest.hexdigest()
