"""Where the data that is too large to ship lies."""

from __future__ import annotations

import os
from pathlib import Path

from actcodec.errors import ActcodecError

VARIABLE = "ACTCODEC_DATA"


def data_root(root: Path | None = None) -> Path:
    """Return the data folder: ``root``, else ``$ACTCODEC_DATA``, else ``../shared/data``.

    The last is looked for beside the source checkout and beside the current folder.
    Raises ActcodecError that says what to set where no such folder exists.
    """
    if root is not None:
        return _existing(root, "data root")
    named = os.environ.get(VARIABLE)
    if named:
        return _existing(Path(named), f"${VARIABLE}")
    checkout = Path(__file__).resolve().parents[3]
    for base in (checkout, Path.cwd()):
        candidate = base.parent / "shared" / "data"
        if candidate.is_dir():
            return candidate
    raise ActcodecError(f"${VARIABLE}", "is not set; set it to the folder that holds cifar10/ and pretrained/")


def named_root(root: Path | None = None) -> Path | None:
    """The data folder that is named: ``root``, else ``$ACTCODEC_DATA``; for processes elsewhere, which lack that."""
    named = os.environ.get(VARIABLE)
    return root or (Path(named).resolve() if named else None)


def _existing(root: Path, where: str) -> Path:
    if not root.is_dir():
        raise ActcodecError(where, f"{root} is not a folder")
    return root
