"""A design block with its inner signals in reach: for invariants about them, and for breaking it on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable, Fragment, Signal

from actcodec.errors import ActcodecError


class Inside(dict[str, Signal]):
    """The signals that a block assigns, by name."""

    def __init__(self, block: Elaboratable, signals: Iterable[Signal]) -> None:
        super().__init__({signal.name: signal for signal in signals})
        self._block = type(block).__name__

    def __missing__(self, name: str) -> Signal:
        raise ActcodecError(self._block, f"has no signal {name!r}, which actcodec_rtl.formal names")


@dataclass(frozen=True)
class Mutant:
    """A block that is broken on purpose, to see that the claims about it can fail."""

    name: str
    block: str
    """What a bench calls the block."""
    what: str
    """In words what is wrong."""
    change: Callable[[Any, Inside], dict[str, Any]]
    """From a block and its signals to the assignments, by domain, that override the block's own."""


class Opened(Elaboratable):
    """A block as its own ``elaborate`` builds it, not a copy; ``inside`` has its signals by name.

    Amaranth lets a later assignment to a signal win, so those of a ``mutant`` replace the block's.
    """

    def __init__(self, block: Elaboratable, mutant: Mutant | None = None) -> None:
        self._fragment: Any = Fragment.get(block, None)  # type: ignore[no-untyped-call]  # the stubs have no types for it
        assigned = [
            signal
            for statements in self._fragment.statements.values()
            for statement in statements
            for signal in statement._lhs_signals()
        ]
        self.inside = Inside(block, assigned)
        if mutant is not None:
            for domain, statements in mutant.change(block, self.inside).items():
                self._fragment.add_statements(domain, statements)

    def elaborate(self, platform: object) -> Any:
        return self._fragment
