"""Work of tasks that takes no time, as modules that workers can import."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from actcodec.cluster import Task
from actcodec.errors import ActcodecError


def square(number: int, folder: Path) -> dict[str, Any]:
    """The square of a number; ``folder``/calls gets a line for every call."""
    with (folder / "calls").open("a") as calls:
        calls.write(f"{number}\n")
    return {"number": number, "square": number * number, "sides": (number, number)}


def fail(name: str) -> None:
    raise ActcodecError(name, "is wrong\nin two lines")


def die(folder: Path, times: int) -> str:
    """Kill this process in the middle of writing the result, the first ``times`` times."""
    deaths = folder / "deaths"
    count = len(deaths.read_text()) if deaths.exists() else 0
    if count < times:
        deaths.write_text("x" * (count + 1))
        (folder / f".die.json.{count}").write_text('{"half')
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def squares(numbers: range, folder: Path) -> list[list[Task]]:
    """A chain a number."""
    return [[Task(f"square{n}", folder / f"{n}.json", partial(square, n, folder))] for n in numbers]


def calls(folder: Path) -> list[int]:
    """The numbers that were squared, in order."""
    path = folder / "calls"
    return sorted(map(int, path.read_text().split())) if path.exists() else []
