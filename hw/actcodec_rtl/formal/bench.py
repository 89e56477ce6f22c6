"""What every bench derives from."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal, Value, ValueLike

from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Inside, Mutant, Opened


class SolverExport:
    """Elaboration platform of the proofs: claims become statements for the solver."""


class Bench(Elaboratable):
    """Blocks under test, inputs left to the solver in every cycle (``free``), and claims.

    With a ``mutant`` the block that it names is broken and the invariants are left out.
    """

    def __init__(self, mutant: Mutant | None = None) -> None:
        self._mutant = mutant
        self._domain: Any = ClockDomain("sync")
        self.free: dict[str, ValueLike] = {}
        self.claimed: dict[str, Signal] = {}
        """The claims by name, once elaborated."""

    @property
    def ports(self) -> dict[str, tuple[Value, None]]:
        """Clock, reset and what is free, as ports of the top."""
        driven = {"clk": self._domain.clk, "rst": self._domain.rst, **self.free}
        return {name: (Value.cast(value), None) for name, value in driven.items()}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains += self._domain
        claims = Claims(m, stated=isinstance(platform, SolverExport), helped=self._mutant is None)
        self.describe(m, claims)
        self.claimed = claims.signals
        return m

    @abstractmethod
    def describe(self, m: Module, claims: Claims) -> None:
        """Put the blocks, the reference model and the claims into ``m``."""

    def put(self, m: Module, name: str, block: Elaboratable) -> Inside:
        """Make ``block`` a submodule of that name, broken if it is the mutant's; the signals inside."""
        mutant = self._mutant
        opened = Opened(block, mutant if mutant is not None and mutant.block == name else None)
        m.submodules[name] = opened
        return opened.inside


def bit_of(value: Value, index: Value) -> Value:
    """Bit ``index`` of ``value``, 0 above its end (where Amaranth's ``bit_select`` would be undefined)."""
    return (value >> index)[0]
