"""What a reader makes of a network file."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx


@dataclass(frozen=True, eq=False)
class ImportedNetwork:
    """``model``: N×C×H×W to N×``logits``, C×H×W = ``input_shape``; ``sha256`` of the file it was read from.

    ``mean`` and ``std`` normalise images/255, a value for all channels; None where the file does not say what its
    input means.
    """

    model: fx.GraphModule
    input_shape: tuple[int, int, int]
    logits: int
    sha256: str
    mean: float | None = None
    std: float | None = None
