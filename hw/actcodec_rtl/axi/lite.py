"""The AXI4-Lite subordinate: five channels on one side, single reads and writes on the other."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from actcodec_rtl.axi.signatures import RESPONSE_OKAY, RESPONSE_SLVERR, axi_lite
from actcodec_rtl.component import Block, register
from actcodec_rtl.registers.model import ADDRESS_BITS, REGISTER_BITS, REGISTER_BYTES


def register_bus() -> wiring.Signature:
    """Single accesses, seen from who asks: what a read address holds is always there, the answer to a write with it.

    Addresses are those of words; ``strobe`` says which bytes are written; ``…_error`` refuses the access.
    """
    members: dict[str, Any] = {
        "write": Out(1),
        "write_address": Out(ADDRESS_BITS - 2),
        "write_data": Out(REGISTER_BITS),
        "write_strobe": Out(REGISTER_BYTES),
        "write_error": In(1),
        "read_address": Out(ADDRESS_BITS - 2),
        "read_data": In(REGISTER_BITS),
        "read_error": In(1),
    }
    return wiring.Signature(members)


class AxiLite(Block):
    """Takes addresses and data in any order and answers each access with OKAY or, where it is refused, SLVERR.

    Ports: ``axil``, the bus (`axi_lite`); ``access``, the accesses (`register_bus`). AxPROT is not looked at, nor are
    the two lowest address bits.

    An address, and the data of a write, wait in registers: every READY depends on them alone, every VALID and response
    comes from a register, so that nothing passes combinationally from one side of the bus to itself. A write is done
    two cycles after the later of AW and W, a read two cycles after AR; one access every two cycles in each direction
    where responses are taken at once. Reads and writes do not wait for each other.
    """

    def __init__(self) -> None:
        super().__init__({"axil": In(axi_lite()), "access": Out(register_bus())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._writes(m)
        self._reads(m)
        return m

    def _writes(self, m: Module) -> None:
        axil, access = self.axil, self.access
        has_address, has_data = Signal(), Signal()
        address = register(ADDRESS_BITS - 2, "write_address")
        data, strobe = register(REGISTER_BITS, "write_data"), register(REGISTER_BYTES, "write_strobe")
        m.d.comb += [
            axil.awready.eq(~has_address),
            axil.wready.eq(~has_data),
            access.write.eq(has_address & has_data & (~axil.bvalid | axil.bready)),
            access.write_address.eq(address),
            access.write_data.eq(data),
            access.write_strobe.eq(strobe),
        ]
        with m.If(axil.awvalid & axil.awready):
            m.d.sync += [has_address.eq(1), address.eq(axil.awaddr[2:])]
        with m.If(axil.wvalid & axil.wready):
            m.d.sync += [has_data.eq(1), data.eq(axil.wdata), strobe.eq(axil.wstrb)]
        with m.If(access.write):
            m.d.sync += [
                has_address.eq(0),
                has_data.eq(0),
                axil.bvalid.eq(1),
                axil.bresp.eq(Mux(access.write_error, RESPONSE_SLVERR, RESPONSE_OKAY)),
            ]
        with m.Elif(axil.bready):
            m.d.sync += axil.bvalid.eq(0)

    def _reads(self, m: Module) -> None:
        axil, access = self.axil, self.access
        has_address, read = Signal(), Signal()
        address = register(ADDRESS_BITS - 2, "read_address")
        m.d.comb += [
            axil.arready.eq(~has_address),
            read.eq(has_address & (~axil.rvalid | axil.rready)),
            access.read_address.eq(address),
        ]
        with m.If(axil.arvalid & axil.arready):
            m.d.sync += [has_address.eq(1), address.eq(axil.araddr[2:])]
        with m.If(read):
            m.d.sync += [
                has_address.eq(0),
                axil.rvalid.eq(1),
                axil.rdata.eq(access.read_data),
                axil.rresp.eq(Mux(access.read_error, RESPONSE_SLVERR, RESPONSE_OKAY)),
            ]
        with m.Elif(axil.rready):
            m.d.sync += axil.rvalid.eq(0)
