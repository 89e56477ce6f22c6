"""Energy of a network whose layers have widths k_l: the analytic model and the process-in-memory (PIM) platform.

    analytic   E = Σ_l N_mem·E_mem|k + N_MAC·E_MAC|k       E_mem|k = 2.5·k pJ,  E_MAC|k = 3.1·k/32 + 0.1 pJ
               N_mem = N²·I + p²·I·O,   N_MAC = M²·I·p²·O    (N, M input and output side, I, O channels, p kernel)
    PIM        E = Σ_l N_MAC·e(k),  k rounded up to 2, 4, 8 or 16, e of `actcodec.pim.energy`

Source: arXiv 2101.04354 (DATE 2021), 45 nm. It says itself that the analytic model overstates the saving several times
against the platform, whose peripherals it does not count. The constants here are as published there.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actcodec.errors import ActcodecError
from actcodec.pim.energy import Source, energy_per_mac_fj
from actcodec.pim.params import WIDTHS

BASELINE_BITS = 16
"""Every saving is against all layers at this width."""


@dataclass(frozen=True)
class Constant:
    """A number of the publication."""

    value: float
    unit: str


MEMORY_PER_BIT = Constant(2.5, "pJ/bit")
MAC_PER_BIT = Constant(3.1 / 32, "pJ/bit")
MAC_OFFSET = Constant(0.1, "pJ")


@dataclass(frozen=True)
class LayerShape:
    """A convolution, or a linear layer as one of a single position.

    ``input_positions`` N², ``output_positions`` M², ``taps`` p²; ``inputs`` I are those that one output reads,
    ``read_channels`` those of its input tensor (more than I in a grouped convolution).
    """

    name: str
    input_positions: int
    output_positions: int
    inputs: int
    outputs: int
    taps: int
    read_channels: int

    @property
    def macs(self) -> int:
        """N_MAC, an image."""
        return self.output_positions * self.inputs * self.taps * self.outputs

    @property
    def accesses(self) -> int:
        """N_mem: the input and the weights, each once."""
        return self.input_positions * self.read_channels + self.taps * self.inputs * self.outputs

    def analytic(self, bits: int) -> float:
        """Energy in µJ at ``bits`` by the analytic model."""
        memory = self.accesses * MEMORY_PER_BIT.value * bits
        return 1e-6 * (memory + self.macs * (MAC_PER_BIT.value * bits + MAC_OFFSET.value))

    def pim(self, bits: int, source: Source = "published") -> float:
        """Energy in µJ of the MACs on the PIM array, ``bits`` rounded up to one of its widths."""
        return 1e-9 * self.macs * energy_per_mac_fj(pim_width(bits), source)


@dataclass(frozen=True)
class NetworkEnergy:
    """Energy of an image in µJ by layer, by both models."""

    layers: tuple[str, ...]
    analytic: tuple[float, ...]
    pim: tuple[float, ...]

    @property
    def analytic_total(self) -> float:
        """µJ an image by the analytic model."""
        return sum(self.analytic)

    @property
    def pim_total(self) -> float:
        """µJ an image on the PIM array."""
        return sum(self.pim)


def pim_width(bits: int) -> int:
    """Return the least operand width of the PIM array that holds ``bits``; ActcodecError outside 1…16."""
    for width in WIDTHS:
        if 1 <= bits <= width:
            return width
    raise ActcodecError("width", f"{bits} bits fit no operand of the PIM array ({', '.join(map(str, WIDTHS))})")


def network_energy(shapes: Sequence[LayerShape], widths: Sequence[int]) -> NetworkEnergy:
    """Return the energy of layers ``shapes`` at ``widths``, one a layer."""
    pairs = list(zip(shapes, widths, strict=True))
    return NetworkEnergy(
        layers=tuple(shape.name for shape in shapes),
        analytic=tuple(shape.analytic(bits) for shape, bits in pairs),
        pim=tuple(shape.pim(bits) for shape, bits in pairs),
    )


def baseline_energy(shapes: Sequence[LayerShape]) -> NetworkEnergy:
    """Return the energy of ``shapes`` with every layer at 16 bits."""
    return network_energy(shapes, [BASELINE_BITS] * len(shapes))


def bit_macs(shapes: Iterable[LayerShape], widths: Iterable[int]) -> int:
    """Return Σ N_MAC·k: MACs weighted by the width that they are done at."""
    return sum(shape.macs * bits for shape, bits in zip(shapes, widths, strict=True))


def mac_reduction(baseline: Sequence[LayerShape], shapes: Sequence[LayerShape], widths: Sequence[int]) -> float:
    """Return how many times fewer bit-weighted MACs ``shapes`` at ``widths`` take than ``baseline`` at 16 bits.

    Reconstructed: the publication gives the ratio, not its formula; pruned layers have fewer MACs in ``shapes``.
    """
    return bit_macs(baseline, [BASELINE_BITS] * len(baseline)) / bit_macs(shapes, widths)
