"""Progress bars on standard error, so that results on standard output stay clean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

Item = TypeVar("Item")


def track(items: Iterable[Item], description: str, total: int, show: bool = True) -> Iterator[Item]:
    """Yield ``items`` behind a bar of ``total`` steps titled ``description``; plainly unless ``show``."""
    console = Console(stderr=True)
    # Without a terminal a bar would leave empty lines in the log.
    hidden = not (show and console.is_terminal)
    yield from rich_track(items, description, total=total, console=console, transient=True, disable=hidden)
