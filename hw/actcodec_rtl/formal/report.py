"""What the proofs found: lines for the terminal, JSON for benchmarks/results, tables for the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from actcodec_rtl.formal.proof import Catch, Outcome
from actcodec_rtl.formal.tools import tool_versions


def line(result: Outcome | Catch) -> str:
    """A result on one line; a mutant is indented below its proof."""
    if isinstance(result, Catch):
        found = f"caught in cycle {result.depth}" if result.good else "MISSED"
        return f"    {result.mutant:<32} {result.seconds:>8.1f} s  {found}"
    found = result.status if result.good else result.status.upper()
    return f"{result.name:<24} {result.kind:<13}{result.seconds:>7.1f} s  {found}"


def trace(result: Outcome) -> list[str]:
    """The inputs that break a claim, a line a cycle; none where nothing is broken."""
    if result.counterexample is None:
        return []
    return [
        f"    cycle {cycle}: {' '.join(f'{name}={value:#x}' for name, value in inputs.items())}"
        for cycle, inputs in enumerate(result.counterexample.inputs)
    ]


def as_json(command: str, results: Sequence[Outcome | Catch]) -> dict[str, Any]:
    """All results, with the tools that gave them."""
    return {
        "command": command,
        "tools": tool_versions(),
        "proofs": [asdict(result) for result in results if isinstance(result, Outcome)],
        "mutants": [asdict(result) for result in results if isinstance(result, Catch)],
    }


def proofs_table(content: Mapping[str, Any]) -> str:
    """The proofs of a JSON result as a Markdown table."""
    rows = ["| proof | configuration | kind | depth | promises + invariants | registers | seconds | status |"]
    rows.append("|---|---|---|---:|---:|---:|---:|---|")
    for proof in content["proofs"]:
        cells = (
            proof["name"],
            proof["configuration"],
            proof["kind"],
            proof["depth"],
            f"{proof['promises']} + {proof['invariants']}",
            proof["state_bits"],
            f"{proof['seconds']:.1f}",
            proof["status"],
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def mutants_table(content: Mapping[str, Any]) -> str:
    """The mutants of a JSON result as a Markdown table: a row each, over all sizes that it was tried in."""
    rows = ["| mutant | what is wrong | caught in cycle |", "|---|---|---|"]
    mutants = content["mutants"]
    for name, what in {mutant["mutant"]: mutant["what"] for mutant in mutants}.items():
        found: dict[str, set[str]] = {}
        for mutant in mutants:
            if mutant["mutant"] == name:
                found.setdefault(mutant["bench"], set()).add(
                    "MISSED" if mutant["depth"] is None else str(mutant["depth"])
                )
        where = ", ".join(f"{' or '.join(sorted(cycles))} ({bench})" for bench, cycles in found.items())
        rows.append(f"| `{name}` | {what} | {where} |")
    return "\n".join(rows)
