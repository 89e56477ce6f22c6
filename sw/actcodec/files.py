"""Writing that is all or nothing: a temporary name beside the target, then a rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError

WEIGHTS = "weights.safetensors"
"""Beside a plan or tables: the checkpoint that goes with them where the network's weights were trained."""


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in ``target``'s folder; rename it to ``target`` if the block succeeds.

    Raises ActcodecError where the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise ActcodecError(target, f"cannot be written: {error.strerror}") from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes the file private to the user; a result is as readable as any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except OSError as error:
        raise ActcodecError(target, f"cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target``, all or nothing."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write ``content`` to ``target`` as UTF-8, all or nothing."""
    write_bytes(target, content.encode())


def write_json(target: Path, content: Any) -> None:
    """Write ``content`` as indented JSON with a stable key order as given, all or nothing."""
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``target``; it takes ``target``'s place if the block succeeds.

    An older folder at ``target`` is replaced whole, so that no stale file survives in it.
    Raises ActcodecError where the parent cannot be written or ``target`` is a file.
    """
    if target.exists() and not target.is_dir():
        raise ActcodecError(target, "is a file; a directory is to be written there")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise ActcodecError(target, f"cannot be written: {error.strerror}") from error
    temporary.chmod(0o755)
    try:
        yield temporary
        if target.exists():
            doomed = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            target.rename(doomed / "old")
            temporary.rename(target)
            shutil.rmtree(doomed)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_bytes(source: Path) -> bytes:
    """Read ``source`` whole; ActcodecError where it is missing or unreadable."""
    try:
        return source.read_bytes()
    except OSError as error:
        raise ActcodecError(source, f"cannot be read: {error.strerror}") from error


def read_weights(directory: Path, sha256: str) -> bytes | None:
    """Read the checkpoint beside a plan or tables, None if there is none; ActcodecError where its hash is another."""
    path = directory / WEIGHTS
    if not path.exists():
        return None
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ActcodecError(path, f"is not the checkpoint {sha256[:16]}… that the rest of the folder names")
    return content


def read_json(source: Path) -> Any:
    """Parse ``source`` as JSON; ActcodecError names the file and the line that is not JSON."""
    try:
        return json.loads(read_bytes(source))
    except (ValueError, RecursionError) as error:
        raise ActcodecError(source, f"is not JSON: {error}") from error


def read_array(source: Path) -> NDArray[Any]:
    """The array of a ``.npy`` file; ActcodecError where it is missing, no array, an archive, or needs pickle."""
    try:
        loaded = np.load(source, allow_pickle=False)
    except OSError as error:
        raise ActcodecError(source, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ActcodecError(source, f"is not a .npy array: {error}") from error
    if not isinstance(loaded, np.ndarray):
        raise ActcodecError(source, "is an archive, expected one .npy array")
    return loaded
