"""The part of a report that co-simulation fills in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CosimRow:
    """One site run through the RTL: measured and predicted cycles, and whether its results equal the golden model's."""

    site: str
    simulator: str
    encode_cycles: int
    encode_predicted: int
    decode_cycles: int
    decode_predicted: int
    stream_equal: bool
    tensor_equal: bool

    @property
    def agrees(self) -> bool:
        """Everything measured is as predicted."""
        return (
            self.stream_equal
            and self.tensor_equal
            and self.encode_cycles == self.encode_predicted
            and self.decode_cycles == self.decode_predicted
        )
