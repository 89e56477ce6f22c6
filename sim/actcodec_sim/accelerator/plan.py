"""Which units a network is run in, and which tensors stay on the chip: the plan that moves the fewest bytes.

A search over the layers in order. Its state is the set of tensors that are on the chip between two layers; each unit
that may come next, and each tensor that may stay, is tried. Where few tensors are alive at a time, as in chains and
residual networks, this is the best plan there is; of more than ``_STATES`` states the costliest are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from actcodec.graph import LayerGraph, Tensor
from actcodec_sim.accelerator.config import Accelerator
from actcodec_sim.accelerator.search import Choice, Search
from actcodec_sim.accelerator.tiling import Residence
from actcodec_sim.accelerator.unit import Unit

_STATES = 64


@dataclass(frozen=True, eq=False)
class _Path:
    """Choices up to a layer, and their sums."""

    bytes: int
    nanoseconds: float
    choices: tuple[Choice, ...]

    @property
    def rank(self) -> tuple[int, float]:
        return self.bytes, self.nanoseconds


def plan(
    graph: LayerGraph, accelerator: Accelerator, search: Search, units: Sequence[Sequence[Unit]]
) -> tuple[Choice, ...]:
    """The best of ``units`` (those of `units_of`) in order, each with its best tiling.

    Raises ActcodecError naming layer and memory where no tiling of a layer fits.
    """
    planner = _Planner(graph, accelerator, search)
    states: list[dict[frozenset[str], _Path]] = [{} for _ in range(len(graph.layers) + 1)]
    states[0][frozenset()] = _Path(0, 0.0, ())
    for number in range(len(graph.layers)):
        reached = sorted(states[number].items(), key=lambda item: item[1].rank)[:_STATES]
        for unit in units[number]:
            for present, path in reached:
                for after, choice in planner.choices(unit, present):
                    found = _Path(
                        path.bytes + choice.cost.bytes,
                        path.nanoseconds + choice.nanoseconds,
                        (*path.choices, choice),
                    )
                    old = states[unit.stop].get(after)
                    if old is None or found.rank < old.rank:
                        states[unit.stop][after] = found
        if not any(states[number + 1 :]):
            raise search.problem(units[number][0], Residence())
    return min(states[-1].values(), key=lambda path: path.rank).choices


class _Planner:
    """What may be done with a unit, by the tensors on the chip before it."""

    def __init__(self, graph: LayerGraph, accelerator: Accelerator, search: Search) -> None:
        self._graph = graph
        self._accelerator = accelerator
        self._search = search
        self._known: dict[tuple[int, int, Residence], Choice | None] = {}
        self._last = {name: max(readers, default=-1) for name, readers in graph.readers.items()}
        self._shortcuts = {read.tensor for layer in graph.layers for read in layer.reads if read.role == "shortcut"}

    def choices(self, unit: Unit, present: frozenset[str]) -> Iterator[tuple[frozenset[str], Choice]]:
        """Sets of tensors that may be on the chip afterwards, with the best way there."""
        inputs = [tensor for tensor in unit.inputs if tensor.name not in present]
        keepable = [tensor for tensor in inputs if self._may_keep(tensor, unit)]
        for stays, *kept in product(
            (True, False) if self._may_stay(unit.output) else (False,), *((True, False) for _ in keepable)
        ):
            keeping = frozenset(tensor.name for tensor, keep in zip(keepable, kept, strict=True) if keep)
            whole = present | keeping | ({unit.output.name} if stays else frozenset())
            residence = Residence(
                present=present & {tensor.name for tensor in unit.inputs},
                kept=keeping,
                output=stays,
                bytes=sum(self._bytes(self._graph.by_name[name]) for name in whole),
            )
            choice = self._best(unit, residence)
            if choice is not None:
                yield frozenset(name for name in whole if self._last[name] >= unit.stop), choice

    def _best(self, unit: Unit, residence: Residence) -> Choice | None:
        key = unit.first, unit.stop, residence
        if key not in self._known:
            self._known[key] = self._search.best(unit, residence)
        return self._known[key]

    def _may_keep(self, tensor: Tensor, unit: Unit) -> bool:
        return self._accelerator.schedule.decode == "once" and self._last[tensor.name] >= unit.stop

    def _may_stay(self, tensor: Tensor) -> bool:
        allowed = self._accelerator.schedule.residency
        if self._last[tensor.name] < 0 or allowed == "none":
            return False
        return allowed == "any" or tensor.name in self._shortcuts

    def _bytes(self, tensor: Tensor) -> int:
        return -(-tensor.values * self._accelerator.words.activation_bits // 8)
