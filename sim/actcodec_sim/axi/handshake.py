"""The rules of VALID and READY, watched on every channel of the shell while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

STREAM = ("tdata", "tkeep", "tlast")
LITE = {"aw": ("addr",), "w": ("data", "strb"), "b": ("resp",), "ar": ("addr",), "r": ("data", "resp")}


class Channel:
    """One VALID/READY channel. ``moved`` counts transfers, ``held`` cycles in which one waited for READY."""

    def __init__(self, dut: Any, name: str, valid: str, ready: str, payload: list[str]) -> None:
        self.name = name
        self._valid, self._ready = getattr(dut, valid), getattr(dut, ready)
        self._payload = [getattr(dut, member) for member in payload]
        self._waiting: list[int] | None = None
        self.moved = self.held = 0

    def forget(self) -> None:
        """Reset: an offer may be withdrawn."""
        self._waiting = None

    def sample(self) -> None:
        """Look at what the coming rising edge commits; a value that is X cannot be converted and fails."""
        valid, ready = bool(int(self._valid.value)), bool(int(self._ready.value))
        if not valid:
            assert self._waiting is None, f"{self.name}: VALID fell before READY"
            return
        offer = [int(signal.value) for signal in self._payload]
        assert self._waiting in (None, offer), f"{self.name}: payload changed before READY"
        self._waiting = None if ready else offer
        self.moved += ready
        self.held += not ready


class Watch:
    """The channels of these ``streams`` and of the registers.

    In the middle of a cycle, inputs of the rising edge and outputs since the last one are set.
    """

    def __init__(self, dut: Any, streams: Iterable[str]) -> None:
        self._dut = dut
        self.withdrawing = False
        """A soft reset is under way: what the outputs offer may be withdrawn."""
        self.channels = {
            name: Channel(dut, name, f"{name}_tvalid", f"{name}_tready", [f"{name}_{m}" for m in STREAM])
            for name in streams
        }
        for name, payload in LITE.items():
            prefix = f"s_axil_{name}"
            self.channels[name] = Channel(
                dut, prefix, f"{prefix}valid", f"{prefix}ready", [f"{prefix}{member}" for member in payload]
            )
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await FallingEdge(self._dut.aclk)
            await ReadOnly()
            if self.withdrawing or not int(self._dut.aresetn.value):
                for channel in self.channels.values():
                    channel.forget()
                continue
            int(self._dut.irq.value)
            for channel in self.channels.values():
                channel.sample()
