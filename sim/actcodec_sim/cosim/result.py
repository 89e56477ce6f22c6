"""What a co-simulation measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, get_args

from actcodec.params import Direction


@dataclass(frozen=True)
class DirectionResult:
    """One site through the encoder or the decoder, without stalls from outside.

    The counters are the RTL's own; ``port_words`` and ``digest`` are what the testbench saw at the ports.
    """

    cycles: int
    cycles_formula: int
    beats: int
    words: int
    payload_bits: int
    input_stalls: int
    output_stalls: int
    port_words: int
    digest: str
    """SHA-256 of the stream (encoder) or of the tensor (decoder)."""
    digest_golden: str

    @property
    def words_per_cycle(self) -> float:
        """Bus words of the stream a cycle."""
        return self.words / self.cycles if self.cycles else 0.0

    @property
    def agrees(self) -> bool:
        """Same digest as the golden model, cycles as predicted, counters as the ports."""
        return (
            self.digest == self.digest_golden and self.cycles == self.cycles_formula and self.words == self.port_words
        )


@dataclass(frozen=True)
class SiteResult:
    """One site in one simulator; None for a direction that the build does not have."""

    name: str
    encoder: DirectionResult | None
    decoder: DirectionResult | None
    stream_bytes: int
    """Words that left the encoder's port (entered the only decoder's) times bytes a word."""
    transaction_bytes: int
    """DRAM transactions that those words' addresses fall into, read-modify-write of partial ones included."""

    @property
    def directions(self) -> dict[Direction, DirectionResult]:
        """What was measured, by direction."""
        measured: dict[Direction, DirectionResult | None] = {"encoder": self.encoder, "decoder": self.decoder}
        return {name: result for name, result in measured.items() if result is not None}

    @property
    def payload_bits(self) -> int:
        """Bits that the RTL counted as payload; directions that differ do not agree with the golden model either."""
        return next(iter(self.directions.values())).payload_bits

    @property
    def agrees(self) -> bool:
        """Every direction agrees with the golden model and the formula."""
        return all(result.agrees for result in self.directions.values())


def read_site(content: dict[str, Any]) -> SiteResult:
    """The site's result that `dataclasses.asdict` took apart."""
    parts = {name: content[name] and DirectionResult(**content[name]) for name in get_args(Direction)}
    return SiteResult(**{**content, **parts})


@dataclass(frozen=True)
class CosimResult:
    """All sites in one simulator."""

    simulator: str
    tables_digest: str
    sites: tuple[SiteResult, ...]
    stalled_cycles: int
    """Cycles of the second pass, under random stalls on every port: all sites back to back, or each alone, summed."""
    seed: int
    seconds: float

    @property
    def agrees(self) -> bool:
        """Every site agrees."""
        return all(site.agrees for site in self.sites)

    @property
    def cycles(self) -> int:
        """Cycles of both passes, those of the direction that took longer."""
        return sum(max(d.cycles for d in s.directions.values()) for s in self.sites) + self.stalled_cycles

    def as_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        content = asdict(self)
        for site, entry in zip(self.sites, content["sites"], strict=True):
            entry["agrees"] = site.agrees
            for name, direction in site.directions.items():
                entry[name]["words_per_cycle"] = round(direction.words_per_cycle, 4)
        return {**content, "agrees": self.agrees}
