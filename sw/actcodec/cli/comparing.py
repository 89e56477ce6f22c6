"""Verb that sets two traffic reports side by side: compare."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actcodec.cli.options import JsonOption, print_json, print_table
from actcodec.errors import ActcodecError

if TYPE_CHECKING:
    from actcodec_sim.traffic import Change, CodecChange


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="**Example**: `actcodec compare old/traffic.json new/traffic.json --fail-above 2`")(compare)


def compare(
    before: Annotated[Path, typer.Argument(metavar="A.json", help="traffic.json of a report, or `traffic --json`.")],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="The same after a change.")],
    fail_above: Annotated[
        float | None,
        typer.Option(min=0, metavar="PERCENT", help="Exit with 1 where a figure of a frame got worse by more."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Differences of two traffic reports: each codec's frame, and every site that changed."""
    from actcodec_sim.traffic import compare_reports, load_report

    if fail_above is not None and not math.isfinite(fail_above):
        raise ActcodecError("compare", f"--fail-above {fail_above} is not a number")
    result = compare_reports(load_report(before), load_report(after))
    regressions = [] if fail_above is None else result.regressions(fail_above)
    if json_output:
        print_json({"before": str(before), "after": str(after), **result.to_json(), "regressions": regressions})
    else:
        for codec in result.codecs:
            _print(codec)
    for line in result.warnings:
        typer.echo(f"warning: {line}", err=True)
    for line in regressions:
        typer.echo(f"regression: {line}", err=True)
    if regressions:
        raise typer.Exit(1)


def _print(codec: CodecChange) -> None:
    print_table(
        f"{codec.codec}: one frame",
        "figure|unit|A|B|B − A|%",
        [
            (change.figure, change.unit, *map(_number, (change.before, change.after)), *_difference(change))
            for change in codec.totals
        ],
    )
    changed = [site for site in codec.sites if site.changed]
    if changed:
        figures = [change.figure for change in changed[0].changes]
        print_table(
            f"{codec.codec}: sites that changed, A → B",
            "|".join(["site", *figures]),
            [(site.name, *map(_arrow, site.changes)) for site in changed],
        )
    same = len(codec.sites) - len(changed)
    typer.echo(f"{codec.codec}: {len(changed)} sites changed, {same} are the same")
    for what, names in (("added", codec.added), ("removed", codec.removed)):
        if names:
            typer.echo(f"{codec.codec}: sites {what}: {', '.join(names)}")


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3f}"


def _signed(text: str) -> str:
    return text.replace("-", "−")


def _difference(change: Change) -> tuple[str, str]:
    if not change.difference:
        return "", ""
    return f"{'+' if change.difference > 0 else '−'}{_number(abs(change.difference))}", _percent(change)


def _percent(change: Change) -> str:
    return _signed(f"{change.percent:+.2f}") if math.isfinite(change.percent) else "new"


def _arrow(change: Change) -> str:
    if not change.difference:
        return _number(change.before)
    # A share in percent is compared in points.
    note = _signed(f"{change.difference:+.2f}") if change.unit == "%" else f"{_percent(change)} %"
    return f"{_number(change.before)} → {_number(change.after)} ({note})"
