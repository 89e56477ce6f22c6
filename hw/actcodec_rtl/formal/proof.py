"""Proving what a bench claims by induction, and finding out what is wrong with it where that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from actcodec_rtl.formal.bench import Bench
from actcodec_rtl.formal.claims import INVARIANT, PROMISE, SIGHT
from actcodec_rtl.formal.opened import Mutant
from actcodec_rtl.formal.solver import OutOfTimeError, Unrolled
from actcodec_rtl.formal.transition import TOP, Transition, transition_of

PROVED = "proved"
LIMIT_S = 1200.0
"""Seconds that the solver may take for a proof, and for a search."""
SEARCH_DEPTH = 10
"""Cycles after reset within which an event must be seen and a broken block be found out."""


@dataclass(frozen=True)
class Proof:
    """What is to be proved: the claims of a bench in one configuration, and the mutants that it must find."""

    bench: str
    size: str
    configuration: str
    make: Callable[[Mutant | None], Bench]
    mutants: tuple[Mutant, ...]

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return f"{self.bench} {self.size}"


@dataclass(frozen=True)
class Counterexample:
    """The inputs, cycle by cycle from the first one after reset, that end in a cycle with broken claims."""

    broken: list[str]
    inputs: list[dict[str, int]]

    @property
    def depth(self) -> int:
        """Number of the last cycle; the first one after reset is 0."""
        return len(self.inputs) - 1


@dataclass(frozen=True)
class Outcome:
    """What became of a proof."""

    name: str
    configuration: str
    kind: str
    """``inductive``, or ``combinational`` where there is no state and all inputs are all there is."""
    depth: int
    """Cycles that the induction step goes ahead; 0 without state."""
    promises: int
    invariants: int
    state_bits: int
    """Registers of the blocks and of the reference."""
    seconds: float
    status: str
    """``proved`` or what is wrong."""
    sights: dict[str, int | None]
    """After how many cycles an event is possible first; None: not within SEARCH_DEPTH."""
    counterexample: Counterexample | None = None

    @property
    def good(self) -> bool:
        """Proved, and about something."""
        return self.status == PROVED


@dataclass(frozen=True)
class Catch:
    """What became of a mutant."""

    bench: str
    proof: str
    mutant: str
    what: str
    depth: int | None
    """The cycle after reset in which a promise is broken; None: not found."""
    broken: list[str]
    seconds: float

    @property
    def good(self) -> bool:
        """Found out."""
        return self.depth is not None


def _claims(bench: Bench) -> list[str]:
    """The names of the claims, invariants first: what is proved helps with what comes after it."""
    return [name for prefix in (INVARIANT, PROMISE) for name in bench.claimed if name.startswith(prefix)]


def _broken(run: Unrolled, claims: list[str]) -> list[str]:
    """Claims that can be broken in the last state, all of them in one and the same run; those that cannot are kept."""
    for claim in claims:
        holds = f"(|{TOP}_n {claim}| s{run.depth})"
        if run.possible(f"(not {holds})"):
            return [name for name in claims if not run.value(name, run.depth)]
        run.require(holds)
    return []


def search(bench: Bench, transition: Transition, depth: int = SEARCH_DEPTH) -> Counterexample | None:
    """The shortest way from reset to a broken claim, of at most ``depth`` cycles. Raises OutOfTimeError."""
    run = Unrolled(transition, after_reset=True, limit_s=LIMIT_S)
    while True:
        if broken := _broken(run, _claims(bench)):
            return Counterexample(
                broken, [{name: run.value(name, cycle) for name in bench.free} for cycle in range(run.depth + 1)]
            )
        if run.depth == depth:
            return None
        run.extend()


def _sights(bench: Bench, transition: Transition, depth: int) -> dict[str, int | None]:
    run = Unrolled(transition, after_reset=True, limit_s=LIMIT_S)
    first: dict[str, int | None] = {name: None for name in bench.claimed if name.startswith(SIGHT)}
    while True:
        for name, seen in first.items():
            if seen is None and run.possible(f"(|{TOP}_n {name}| s{run.depth})"):
                first[name] = run.depth
        if run.depth == depth or None not in first.values():
            return first
        run.extend()


def _loose(bench: Bench, transition: Transition) -> list[str]:
    """Claims that can be broken in the cycle after one in which all hold; none: the induction step is proved."""
    run = Unrolled(transition, after_reset=False, limit_s=LIMIT_S)
    run.require(f"(|{TOP}_a| s0)")
    run.extend()
    return _broken(run, _claims(bench))


@dataclass(frozen=True)
class _Verdict:
    status: str
    sights: dict[str, int | None]
    example: Counterexample | None = None


def _judge(bench: Bench, transition: Transition) -> _Verdict:
    try:
        loose: list[str] = []
        example = search(bench, transition, depth=0)
        if example is None and transition.clocked:
            loose = _loose(bench, transition)
            example = search(bench, transition) if loose else None
        sights = _sights(bench, transition, SEARCH_DEPTH if transition.clocked else 0)
    except OutOfTimeError:
        return _Verdict(f"out of time ({LIMIT_S:.0f} s)", {})
    unseen = [name for name, seen in sights.items() if seen is None]
    if example is not None:
        return _Verdict(f"broken in cycle {example.depth}: {', '.join(example.broken)}", sights, example)
    if loose:
        return _Verdict(f"not inductive, holds for {SEARCH_DEPTH} cycles: {', '.join(loose)}", sights)
    return _Verdict(f"vacuous: {', '.join(unseen)}" if unseen else PROVED, sights)


def prove(proof: Proof) -> Outcome:
    """All claims hold in the first cycle after reset, and in the cycle after any in which they hold: so they always do.

    Where that fails the shortest counterexample from reset is looked for; if there is none within SEARCH_DEPTH the
    claims may be true, but need more invariants.
    """
    begin = time.perf_counter()
    bench = proof.make(None)
    transition = transition_of(bench)
    verdict = _judge(bench, transition)
    return Outcome(
        name=proof.name,
        configuration=proof.configuration,
        kind="inductive" if transition.clocked else "combinational",
        depth=int(transition.clocked),
        promises=sum(name.startswith(PROMISE) for name in bench.claimed),
        invariants=sum(name.startswith(INVARIANT) for name in bench.claimed),
        state_bits=transition.state_bits,
        seconds=round(time.perf_counter() - begin, 2),
        status=verdict.status,
        sights={name.removeprefix(SIGHT): seen for name, seen in verdict.sights.items()},
        counterexample=verdict.example,
    )


def catch(proof: Proof, mutant: Mutant) -> Catch:
    """Break the block and look for the shortest way from reset to a broken promise."""
    begin = time.perf_counter()
    bench = proof.make(mutant)
    try:
        example = search(bench, transition_of(bench))
    except OutOfTimeError:
        example = None
    return Catch(
        bench=proof.bench,
        proof=proof.name,
        mutant=mutant.name,
        what=mutant.what,
        depth=None if example is None else example.depth,
        broken=[] if example is None else [name.removeprefix(PROMISE) for name in example.broken],
        seconds=round(time.perf_counter() - begin, 2),
    )


def carry_out(proofs: list[Proof]) -> Iterator[Outcome | Catch]:
    """One proof after the other, each followed by its mutants."""
    for proof in proofs:
        yield prove(proof)
        for mutant in proof.mutants:
            yield catch(proof, mutant)
