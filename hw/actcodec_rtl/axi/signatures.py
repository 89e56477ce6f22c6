"""AXI4-Stream and AXI4-Lite as Amaranth signatures, members named as on the bus."""

from __future__ import annotations

from typing import Any

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from actcodec_rtl.registers.model import ADDRESS_BITS, REGISTER_BITS, REGISTER_BYTES

RESPONSE_OKAY = 0b00
RESPONSE_SLVERR = 0b10


def axi_stream(byte_count: int) -> wiring.Signature:
    """AXI4-Stream of ``byte_count`` bytes, seen from the transmitter."""
    return wiring.Signature(
        {
            "tdata": Out(8 * byte_count),
            "tkeep": Out(byte_count),
            "tlast": Out(1),
            "tvalid": Out(1),
            "tready": In(1),
        }
    )


def axi_lite() -> wiring.Signature:
    """AXI4-Lite of 32 data and 12 address bits, seen from the manager."""
    address: dict[str, Any] = {"addr": Out(ADDRESS_BITS), "prot": Out(3)}
    channels: dict[str, dict[str, Any]] = {
        "aw": address,
        "w": {"data": Out(REGISTER_BITS), "strb": Out(REGISTER_BYTES)},
        "b": {"resp": In(2)},
        "ar": address,
        "r": {"data": In(REGISTER_BITS), "resp": In(2)},
    }
    members: dict[str, Any] = {}
    for name, payload in channels.items():
        forward = Out if name in ("aw", "w", "ar") else In
        members |= {f"{name}{member}": port for member, port in payload.items()}
        members |= {f"{name}valid": forward(1), f"{name}ready": forward(1).flip()}
    return wiring.Signature(members)
