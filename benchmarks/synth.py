"""Measure any (System)Verilog design: gate equivalents in all and by block, FPGA resources and clock.

    python benchmarks/synth.py --verilog FILES... --top NAME [--name NAME] [--clock PORT] [--without BLOCK ...]
        [--fpga DEVICE ...] [--frequency MHZ] [--seeds N] [--no-gates] [--no-split] [--out FOLDER] [--json]

FILES may be a list (``*.f``). Writes ``synth.json`` and nextpnr's own reports to benchmarks/results/synth/NAME, or to
FOLDER, all or nothing. Needs the extra ``synth`` (`make synth` installs it). docs/synth.md says what is counted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from actcodec.errors import ActcodecError
from actcodec.files import atomic_directory, write_json
from actcodec_rtl.synth.devices import DEVICES, SMALLEST_ECP5
from actcodec_rtl.synth.measure import Request, measure
from actcodec_rtl.synth.sources import collect

RESULTS = Path(__file__).parent / "results" / "synth"
RESULT = "synth.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verilog", nargs="+", type=Path, required=True, help="sources, or lists of them (*.f)")
    parser.add_argument("--include", nargs="+", type=Path, default=[], help="folders of `include files")
    parser.add_argument("--top", required=True, help="top module")
    parser.add_argument("--name", help="what to call the design (default: the top module)")
    parser.add_argument("--clock", default="clk", help="clock port, for an iCE40 (default: clk)")
    parser.add_argument("--without", nargs="+", default=[], help="modules or instances: the whole less each of them")
    parser.add_argument(
        "--fpga",
        nargs="*",
        default=[SMALLEST_ECP5, "hx8k"],
        help=f"devices: {SMALLEST_ECP5} (the smallest LFE5U that fits), {', '.join(DEVICES)}; none: no FPGA",
    )
    parser.add_argument("--frequency", type=float, default=100.0, help="target of place and route, MHz (default: 100)")
    parser.add_argument("--seeds", type=int, default=1, help="placements a device (default: 1)")
    parser.add_argument("--no-gates", dest="gates", action="store_false", help="no gate equivalents")
    parser.add_argument("--no-split", dest="split", action="store_false", help="no gate equivalents by block")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def _check_target(out: Path) -> None:
    """Raise ActcodecError where ``out``, which is replaced whole, holds something other than older results."""
    if out.is_dir() and any(out.iterdir()) and not (out / RESULT).is_file():
        raise ActcodecError(out, "holds other files than results of synthesis")


def _lines(result: dict[str, Any]) -> list[str]:
    """The result as text for a terminal."""
    lines = []
    if "gates" in result:
        gates = result["gates"]
        lines.append(
            f"gates: {gates['ge'] / 1000:.2f} kGE ({gates['transistors']} transistors, {gates['flip_flops']} "
            f"flip-flops, {gates['latches']} latches); {len(gates['memories'])} memories, {gates['memory_bits']} bits"
        )
        lines.extend(f"  not counted: {number} × {kind}" for kind, number in gates["left_out"].items())
    for block in result.get("blocks", []):
        own, total = block["own"]["ge"], block["total"]["ge"]
        bits = f"  {block['memory_bits']:9} memory bits" if block["memory_bits"] else ""
        lines.append(f"  {block['path'] or result['top']:40} {total:10.1f} GE, own {own:10.1f}{bits}")
    lines.extend(f"without {each['block']}: {each['ge_less']:.1f} GE less" for each in result.get("without", []))
    for fpga in result["fpga"]:
        if fpga["fits"]:
            used = ", ".join(f"{number} {kind}" for kind, number in fpga["resources"].items())
            clock = "no path between flip-flops" if fpga["mhz"] is None else f"{fpga['mhz']} MHz"
            lines.append(f"{fpga['device']}: {used}; {clock}")
        else:
            lines.append(f"{fpga['device']}: does not fit: {fpga['why']}")
    return lines


def main() -> None:
    """Measure and write."""
    arguments = _arguments()
    out = arguments.out or RESULTS / (arguments.name or arguments.top)
    try:
        _check_target(out)
        if arguments.seeds < 1:
            raise ActcodecError("--seeds", f"{arguments.seeds} is less than 1")
        if not arguments.frequency > 0:
            raise ActcodecError("--frequency", f"{arguments.frequency} is not a positive number of MHz")
        request = Request(
            sources=collect(arguments.verilog, arguments.include, arguments.top),
            gates=arguments.gates,
            split=arguments.split,
            without=tuple(arguments.without),
            fpgas=tuple(arguments.fpga),
            frequency=arguments.frequency,
            seeds=arguments.seeds,
            clock=arguments.clock,
        )
        command = shlex.join(["python", "benchmarks/synth.py", *sys.argv[1:]])
        # Opened first: a folder that cannot be written is not to be found out after minutes of work.
        with atomic_directory(out) as folder, tempfile.TemporaryDirectory(prefix="actcodec-synth-") as scratch:
            measurement = measure(request, Path(scratch), lambda line: print(line, file=sys.stderr))
            result = {"name": arguments.name or arguments.top, "command": command, **measurement.result}
            write_json(folder / RESULT, result)
            for name, report in measurement.reports.items():
                write_json(folder / name, report)
    except ActcodecError as error:
        raise SystemExit(f"error: {error}") from error
    print(json.dumps(result, indent=2, ensure_ascii=False) if arguments.json else "\n".join(_lines(result)))


if __name__ == "__main__":
    main()
