"""Greedy dimension reduction (P1): step by step the cut that costs the least measured loss per bit saved.

    every site starts whole: K = C, 8 bits
    repeat
        ΔL_l = loss(site l cut once more) − loss(now)          measured, on held-out images, no training
        ΔB_l = bits that the cut saves, stream and tables/batch
        cut the site of the least ΔL_l/ΔB_l
    until Σ stream bits ≤ target

loss is the KL divergence to the uncompressed network. A cut drops δ ≈ C/16 coefficients (P1-pure, 8 bits each), or
leads to the state (K, b), one width b a site, of the least predicted loss among those that save an eighth (P1+q); every
basis on offer proposes its own, and the best measured one counts. Sites wait in a queue by their last known ΔL/ΔB: only
the one on top is measured again, and taken if it stays on top (a lazy queue; exact where cuts elsewhere only make a
site dearer). What a site's state needs of the network before it is kept, so a measurement runs the network behind the
site only.

Source: P1, arXiv 2110.08828 publishes the idea ("by considering both accuracy and #bits reduction simultaneously"); the
metric, the proposals and the queue are a reconstruction.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from actcodec.errors import ActcodecError
from actcodec.files import read_json, write_json
from actcodec.learn.allocation.choice import Choice, make_choice
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import SiteOption
from actcodec.networks.stages import StagedNetwork, State
from actcodec.params import MAX_WIDTH

_USELESS = 1e-6
"""Share of the largest gain of a site below which a coefficient is never kept: its step would be noise."""

Layers = Callable[[Choice], nn.Module]


@dataclass(frozen=True)
class Step:
    """A line of the log: what was cut, what it cost and saved, and where that leaves the network."""

    site: str
    basis: str
    kept: int
    width: int
    loss_change: float
    """ΔL, nats."""
    bits_saved: float
    """ΔB, an image."""
    loss: float
    bits_per_value: float
    measurements: int
    """Candidates measured so far."""


@dataclass(frozen=True, eq=False)
class _Frontier:
    """The states of one option, largest stream first; every one has less predicted loss than all smaller ones."""

    choices: tuple[Choice, ...]

    def cut(self, choice: Choice, saving: float) -> Choice | None:
        """Return the largest state that is at least ``saving`` bytes below ``choice``."""
        for state in self.choices:
            if state.stream_bytes <= choice.stream_bytes - max(saving, 1):
                return state
        return None


class Greedy:
    """The way down from whole sites; ``advance`` goes on from where it stands.

    ``options`` are the bases on offer for every site; ``start`` (per site) replaces the whole site as the first state.
    ``layer`` makes a trained layer of a choice. ``file`` holds the log and everything needed to go on, is written after
    every step and taken up if it exists and is of the same ``key``; ActcodecError where it is of another.
    """

    def __init__(
        self,
        staged: StagedNetwork,
        options: Sequence[Sequence[SiteOption]],
        layer: Layers,
        inputs: Sequence[Tensor],
        reference: Sequence[Tensor],
        settings: StreamSettings,
        *,
        mixed: bool,
        step: int,
        table_batch: int,
        key: dict[str, Any],
        file: Path | None,
        start: Sequence[Choice] | None = None,
    ) -> None:
        self._staged, self._layer, self._inputs, self._reference = staged, layer, inputs, reference
        self._mixed, self._divisor, self._batch, self._file = mixed, step, table_batch, file
        self._key = key
        self._frontiers = [[_frontier(o, settings, mixed, step) for o in site] for site in options]
        self.choices = list(start) if start is not None else [frontier[0].choices[0] for frontier in self._frontiers]
        self._first = tuple(self.choices)
        self.steps: list[Step] = []
        self._queue: list[tuple[float, int, int]] = []
        self._proposals: dict[int, tuple[Choice, float]] = {}
        self._measurements = 0
        self._states: list[dict[int, State]] = []
        if file is not None and file.exists():
            self._restore(file)
        self._layers = [layer(choice) for choice in self.choices]
        self._loss = self._run_all()
        if not self._queue:
            for site in range(len(self.choices)):
                self._measure(site)

    @property
    def values(self) -> int:
        """Activations of one image over all sites."""
        return sum(choice.option.statistics.site.values for choice in self.choices)

    @property
    def stream_bytes(self) -> int:
        """Stream bytes of one image as things stand."""
        return sum(choice.stream_bytes for choice in self.choices)

    def advance(self, target_bits: float, report: Callable[[Step], None] | None = None) -> tuple[Choice, ...]:
        """Cut until the streams take at most ``target_bits`` a value and return what every site has come to.

        Where earlier calls have gone further, what it had come to there. ActcodecError where nothing is left to cut.
        """
        passed = self._passed(target_bits)
        if passed is not None:
            return passed
        while 8 * self.stream_bytes > target_bits * self.values:
            site = self._next()
            self._take(site)
            self._measure(site)
            self._save()
            if report is not None:
                report(self.steps[-1])
        return tuple(self.choices)

    def _passed(self, target_bits: float) -> tuple[Choice, ...] | None:
        """Return the first states on the way so far that reach ``target_bits``; None where none does."""
        choices = list(self._first)
        sites = {choice.option.statistics.site.name: number for number, choice in enumerate(choices)}
        way = [None, *self.steps]
        for step in way:
            if step is not None:
                site = sites[step.site]
                choices[site] = self._find(site, step.basis, step.kept, step.width)
            if 8 * sum(choice.stream_bytes for choice in choices) <= target_bits * self.values:
                return tuple(choices)
        return None

    def _next(self) -> int:
        """Return the site whose cut is the best known, measured as things stand."""
        while self._queue:
            _, site, measured_at = heapq.heappop(self._queue)
            if measured_at < len(self.steps):
                self._measure(site)
                first = self._queue[0][1]
                if first != site:
                    continue
                heapq.heappop(self._queue)
            return site
        bits = 8 * self.stream_bytes / self.values
        raise ActcodecError("target_bits", f"cannot be reached; the smallest streams take {bits:.3f} bits a value")

    def _measure(self, site: int) -> None:
        """Measure the cuts of ``site`` and queue the best one."""
        now = self.choices[site]
        saving = 0.0 if not self._mixed else now.stream_bytes / 8
        best: tuple[float, Choice, float] | None = None
        for frontier in self._frontiers[site]:
            proposal = frontier.cut(now, saving) or frontier.cut(now, 0)
            if proposal is None:
                continue
            change = self._loss_with(site, self._layer(proposal)) - self._loss
            self._measurements += 1
            metric = change / (now.bits(self._batch) - proposal.bits(self._batch))
            if best is None or metric < best[0]:
                best = (metric, proposal, change)
        if best is not None:
            self._proposals[site] = (best[1], best[2])
            heapq.heappush(self._queue, (best[0], site, len(self.steps)))

    def _take(self, site: int) -> None:
        proposal, change = self._proposals.pop(site)
        before = self.choices[site]
        self.choices[site] = proposal
        self._layers[site] = self._layer(proposal)
        self._loss = self._run_from(site)
        self.steps.append(
            Step(
                site=proposal.option.statistics.site.name,
                basis=proposal.option.name,
                kept=int(np.count_nonzero(proposal.widths)),
                width=int(proposal.widths.max()),
                loss_change=change,
                bits_saved=before.bits(self._batch) - proposal.bits(self._batch),
                loss=self._loss,
                bits_per_value=8 * self.stream_bytes / self.values,
                measurements=self._measurements,
            )
        )

    def _code(self, site: int, tensor: Tensor) -> Tensor:
        return self._layers[site](tensor)  # type: ignore[no-any-return]

    @torch.no_grad()
    def _run_all(self) -> float:
        self._states = [{} for _ in self._inputs]
        total = 0.0
        for x, reference, states in zip(self._inputs, self._reference, self._states, strict=True):
            logits = self._staged.run(x, self._code, states.__setitem__)
            total += float(kl_divergence(reference, logits).sum())
        return total / sum(map(len, self._inputs))

    @torch.no_grad()
    def _run_from(self, site: int) -> float:
        """Run the network from ``site`` on with the layers as they are; the states behind it are renewed."""
        total = 0.0
        for reference, states in zip(self._reference, self._states, strict=True):
            logits = self._staged.resume(site, states[site], self._code, states.__setitem__)
            total += float(kl_divergence(reference, logits).sum())
        return total / sum(map(len, self._inputs))

    @torch.no_grad()
    def _loss_with(self, site: int, layer: nn.Module) -> float:
        total = 0.0
        for reference, states in zip(self._reference, self._states, strict=True):
            logits = self._staged.resume(
                site, states[site], lambda index, x: layer(x) if index == site else self._code(index, x)
            )
            total += float(kl_divergence(reference, logits).sum())
        return total / sum(map(len, self._inputs))

    def _save(self) -> None:
        if self._file is None:
            return
        content = {
            "key": self._key,
            "steps": [asdict(step) for step in self.steps],
            "queue": self._queue,
            "states": [_name(choice) for choice in self.choices],
            "proposals": {site: [*_name(choice), change] for site, (choice, change) in self._proposals.items()},
            "measurements": self._measurements,
        }
        write_json(self._file, content)

    def _restore(self, file: Path) -> None:
        content = read_json(file)
        if content.get("key") != self._key:
            raise ActcodecError(file, "is the log of another greedy run; remove it to start afresh")
        self.steps = [Step(**step) for step in content["steps"]]
        self._queue = [(float(metric), int(site), int(at)) for metric, site, at in content["queue"]]
        changed = {step.site for step in self.steps}
        for site, name in enumerate(content["states"]):
            if self.choices[site].option.statistics.site.name in changed:
                self.choices[site] = self._find(site, *name)
        for site, (*name, change) in content["proposals"].items():
            self._proposals[int(site)] = (self._find(int(site), *name), float(change))
        self._measurements = int(content["measurements"])

    def _find(self, site: int, basis: str, kept: int, width: int) -> Choice:
        for frontier in self._frontiers[site]:
            for choice in frontier.choices:
                if _name(choice) == [basis, kept, width]:
                    return choice
        raise ActcodecError(self._file, f"state {basis} {kept}×{width} of site {site} is unknown")


def _name(choice: Choice) -> list[Any]:
    return [choice.option.name, int(np.count_nonzero(choice.widths)), int(choice.widths.max())]


def _frontier(option: SiteOption, settings: StreamSettings, mixed: bool, step: int) -> _Frontier:
    channels = option.statistics.site.channels
    stride = max(1, channels // step)
    # What dropping a coefficient costs, by prediction: the order in which they go.
    gain = option.loss[0] - option.loss[MAX_WIDTH]
    order = np.argsort(-gain, kind="stable")
    useful = max(int(np.count_nonzero(gain > _USELESS * gain.max())), 1)
    counts = [useful, *(k for k in range(channels - stride, 0, -stride) if k < useful)]
    if counts[-1] != 1:
        counts.append(1)
    states = []
    for kept in counts:
        for width in range(1, MAX_WIDTH + 1) if mixed else (MAX_WIDTH,):
            widths = np.zeros(channels, np.uint8)
            widths[order[:kept]] = width
            states.append(make_choice(option, widths, settings))
    states.sort(key=lambda choice: (choice.stream_bytes, choice.loss))
    best, least = [], np.inf
    for choice in states:
        if choice.loss < least:
            best.append(choice)
            least = choice.loss
    return _Frontier(tuple(best[::-1]))
