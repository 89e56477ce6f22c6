"""Where an entry of a bank lies in a memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Value

from actcodec.params import CodecParams


def in_bank(params: CodecParams, address: Value, bank: Value) -> Value:
    """Place of the bank's entry ``address``: bank 1 begins in the middle of the memory.

    Only the uppermost bit changes: a bank 1 of a memory that is not halved would have nowhere to begin.
    """
    return address if params.banks == 1 else Cat(address[:-1], address[-1] ^ bank)
