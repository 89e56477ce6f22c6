"""The one exception that user-facing code raises for bad input."""

from __future__ import annotations


class ActcodecError(Exception):
    """Bad input: one line that names the file or object, the field and the value.

    The command line prints it as ``error: <message>`` and exits with status 2.
    """

    def __init__(self, where: object, problem: str) -> None:
        self.where, self.problem = str(where), problem.replace("\n", " ")
        super().__init__(f"{self.where}: {self.problem}".replace("\n", " "))

    def __reduce__(self) -> tuple[type[ActcodecError], tuple[str, str]]:
        """Pickle by both parts, so that it comes back whole from another process."""
        return type(self), (self.where, self.problem)
