"""Questions about the states of a bench, put to Bitwuzla."""

from __future__ import annotations

import time
from typing import Any

from actcodec_rtl.formal.tools import load_bitwuzla
from actcodec_rtl.formal.transition import TOP, Transition


class OutOfTimeError(Exception):
    """The solver had no answer within the limit."""


class Unrolled:
    """States s0, s1, … without reset that follow each other by the bench's clock and keep its rules.

    ``after_reset``: s0 follows any state in which reset was asserted, so that a register without reset holds anything;
    else s0 is any state.
    """

    def __init__(self, transition: Transition, after_reset: bool, limit_s: float) -> None:
        self._bitwuzla = load_bitwuzla()
        options = self._bitwuzla.Options()
        options.set(self._bitwuzla.Option.PRODUCE_MODELS, True)
        self._parser = self._bitwuzla.Parser(self._bitwuzla.TermManager(), options)
        self._end = time.monotonic() + limit_s
        self._parser.configure_terminator(lambda: time.monotonic() > self._end)
        self._parse(f"(set-logic QF_BV)\n{transition.definitions}")
        self.depth = -1
        self.extend()
        if after_reset:
            self._parse(f"(declare-const before |{TOP}_s|)")
            self.require(f"(and (|{TOP}_n rst| before) (|{TOP}_t| before s0))")

    def _parse(self, text: str) -> None:
        self._parser.parse(text, True, False)

    def extend(self) -> None:
        """Append a state."""
        self.depth += 1
        state = f"s{self.depth}"
        self._parse(f"(declare-const {state} |{TOP}_s|)")
        self.require(f"(and (|{TOP}_u| {state}) (not (|{TOP}_n rst| {state})))")
        if self.depth:
            self.require(f"(|{TOP}_t| s{self.depth - 1} {state})")

    def require(self, formula: str) -> None:
        """Restrict the states to those where ``formula`` holds."""
        self._parse(f"(assert {formula})")

    def possible(self, formula: str) -> bool:
        """Whether there are such states with ``formula``. Raises OutOfTimeError."""
        solver = self._parser.bitwuzla()
        result = solver.check_sat(self._parser.parse_term(formula))
        if result == self._bitwuzla.Result.UNKNOWN:
            raise OutOfTimeError
        return bool(result == self._bitwuzla.Result.SAT)

    def value(self, signal: str, depth: int) -> int:
        """A signal's value in state ``depth`` of what was found possible last."""
        term = self._parser.parse_term(f"(|{TOP}_n {signal}| s{depth})")
        value: Any = self._parser.bitwuzla().get_value(term).value(10)
        return int(value)
