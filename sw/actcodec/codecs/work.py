"""What a codec does at one site besides its streams: multiplications, memory reads, tables and pace; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from actcodec.codecs.rates import RATES, Rate
from actcodec.codecs.store import Activity
from actcodec.tables import SiteTable

_CODE_ENTRY_BYTES = 3
"""Of a Huffman code in the coder's memory: 16 bits and their number."""


@dataclass(frozen=True)
class Work:
    """What a codec costs at one site of ``values`` values besides its streams; macs and symbols a direction."""

    values: int
    rate: Rate
    table_bytes: int = 0
    encode_macs: int = 0
    decode_macs: int = 0
    symbols: int = 0

    @classmethod
    def of_table(cls, table: SiteTable, rate: Rate = RATES["wiring"]) -> Work:
        """What the codec's tables need."""
        positions = table.info.height * table.info.width
        multiplications = positions * table.encode_multiplications, positions * table.decode_multiplications
        return cls(table.info.values, rate, table.table_bytes, *multiplications)

    def activity(self, macs: int, payload_bits: int) -> Activity:
        """One direction: a coefficient read a multiplication, a code's entry a symbol, all bits in and out."""
        return Activity(
            macs=macs,
            memory_bytes=macs + _CODE_ENTRY_BYTES * self.symbols,
            register_bits=8 * self.values + payload_bits,
        )

    def activities(self, payload_bits: int) -> tuple[Activity, Activity]:
        """Encoding the tensor to ``payload_bits``, and decoding it once."""
        return self.activity(self.encode_macs, payload_bits), self.activity(self.decode_macs, payload_bits)
