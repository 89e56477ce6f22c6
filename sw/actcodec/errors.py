"""The one exception that user-facing code raises for bad input."""

from __future__ import annotations


class ActcodecError(Exception):
    """Bad input: one line that names the file or object, the field and the value.

    The command line prints it as ``error: <message>`` and exits with status 2.
    """

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(f"{where}: {problem}".replace("\n", " "))
