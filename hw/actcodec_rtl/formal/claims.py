"""What a bench claims, assumes and wants to see, each by a name that the solver's answer can be read by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Assert, Assume, Cover, Module, Signal, ValueLike

PROMISE, INVARIANT, RULE, SIGHT = "promise_", "invariant_", "rule_", "sight_"
"""Prefixes of the names of the signals that are 1 where a claim holds, a rule is kept, an event happens."""


class Claims:
    """Claims about every cycle, made in the module of a bench.

    Each becomes a signal in ``signals``, and with ``stated`` also a statement for the solver: Amaranth's simulator
    would look at statements while a cycle's signals still change, so a test looks at the signals. With ``helped`` false
    the invariants are left out: what is then found broken is a promise.
    """

    def __init__(self, m: Module, stated: bool, helped: bool) -> None:
        self._m, self._stated, self._helped = m, stated, helped
        self.signals: dict[str, Signal] = {}

    def promise(self, name: str, holds: ValueLike) -> None:
        """What the surroundings of a block see."""
        self._make(PROMISE + name, holds, Assert)

    def invariant(self, name: str, holds: ValueLike) -> None:
        """What ties a block's registers to the reference's: proved with the promises, which it makes inductive."""
        if self._helped:
            self._make(INVARIANT + name, holds, Assert)

    def rule(self, name: str, holds: ValueLike) -> None:
        """What the surroundings keep to."""
        self._make(RULE + name, holds, Assume)

    def sight(self, name: str, happens: ValueLike) -> None:
        """What must be possible, or the proof would be about nothing."""
        self._make(SIGHT + name, happens, Cover)

    def _make(self, name: str, value: ValueLike, statement: Callable[[Signal, None], Any]) -> None:
        signal = Signal(name=name)
        self.signals[name] = signal
        self._m.d.comb += signal.eq(value)
        if self._stated:
            self._m.d.comb += statement(signal, None)
