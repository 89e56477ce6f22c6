"""The main job end to end: learn, export, evaluate, RTL, co-simulation in both simulators, traffic report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actcodec.cli.options import (
    DataRootOption,
    DeviceOption,
    JsonOption,
    SeedOption,
    note,
    print_json,
    print_table,
    use_threads,
)
from actcodec.errors import ActcodecError

if TYPE_CHECKING:
    from actcodec.params import Direction


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="**Example**: `actcodec demo --out build/demo`")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory of everything that is made.")] = Path("build/demo"),
    model: Annotated[str, typer.Option("--model", help="Network.")] = "mnist-resnet12",
    target_bits: Annotated[float, typer.Option("--target-bits", help="Stream bits a value, at most.")] = 2.0,
    recipe: Annotated[str, typer.Option(help="How to learn: a name in configs/learn or a TOML file.")] = "demo",
    codec: Annotated[str, typer.Option("--codec", help="Codec parameters.")] = "default",
    device: DeviceOption = "DDR4-2400",
    image: Annotated[int, typer.Option(min=0, help="Test image that is co-simulated.")] = 0,
    cache: Annotated[Path, typer.Option(help="Directory of simulator builds.")] = Path("build/cache"),
    seed: SeedOption = 0,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Run the main job end to end and write OUT/summary.json and OUT/report/index.html."""
    from actcodec.activations import stored_activations
    from actcodec.data import load_dataset
    from actcodec.evaluate import evaluate
    from actcodec.export import export_tables
    from actcodec.files import write_json
    from actcodec.learn import learn, load_recipe, save_plan
    from actcodec.networks import load_network
    from actcodec.params import DIRECTIONS, load_params
    from actcodec_rtl.generate import generate
    from actcodec_sim.agreement import check_agreement
    from actcodec_sim.cosim import cosimulate
    from actcodec_sim.cosim.simulators import SIMULATORS
    from actcodec_sim.report import Evaluation, cosim_rows, write_report
    from actcodec_sim.traffic import run_traffic

    use_threads(1)
    begin = time.monotonic()
    params = load_params(codec)
    if params.directions != DIRECTIONS:
        raise ActcodecError("demo", f"--codec {codec} has one direction only, the demo runs both")
    network = load_network(model, data_root)
    train = load_dataset(network.dataset, "train", data_root)
    test = load_dataset(network.dataset, "test", data_root)
    if image >= len(test):
        raise ActcodecError("demo", f"--image {image}: the test set has {len(test)} images")

    note(f"learning {network.name} for {target_bits} bits a value")
    state = out / "learn.resume"
    plan = learn(network, train, target_bits, seed, recipe=load_recipe(recipe), params=params, state=state)
    save_plan(plan, out / "plan")
    state.unlink(missing_ok=True)

    note("exporting integer tables")
    tables = export_tables(plan, out / "tables")

    note(f"evaluating on {len(test)} test images, uncompressed and through the golden codec")
    results = {
        "float": evaluate(network, test, "float"),
        "int8": evaluate(network, test, "int8", tables=tables),
        "golden": evaluate(network, test, "golden", tables=tables),
        "golden_w8": evaluate(network, test, "golden", tables=tables, weights="w8"),
    }

    note("generating Verilog")
    generate(params, out / "rtl")
    batch = stored_activations(network, tables, test.images[image : image + 1])
    activations = {name: x[0] for name, x in batch.items()}
    runs = []
    for simulator in SIMULATORS:
        note(f"co-simulating {len(tables.sites)} sites in {simulator}")
        runs.append(cosimulate(tables, activations, simulator, cache, out / "cosim" / simulator, seed=seed))
        write_json(out / "cosim" / f"{simulator}.json", runs[-1].as_json())

    note("counting memory traffic")
    traffic = run_traffic(tables, device)
    write_report(
        out / "report",
        traffic,
        cosim_rows(run.as_json() for run in runs),
        evaluation=Evaluation(results["golden"].accuracy, len(test), results["float"].accuracy),
    )
    trainer = {site.info.name: site.sizes(plan.transaction_bytes) for site in plan.sites}
    agreement = check_agreement(tables, trainer, activations, tuple(runs), traffic)

    verbs: dict[str, Direction] = {"encode": "encoder", "decode": "decoder"}
    sites: list[dict[str, Any]] = []
    for table, agreed, run in zip(tables.sites, agreement.sites, runs[0].sites, strict=True):
        info = table.info
        sites.append(
            {
                "name": info.name,
                "shape": [info.channels, info.height, info.width],
                "transform": info.transform,
                "kept": int((table.arrays.width > 0).sum()),
                "bits_per_value": 8 * agreed.trainer.stream_bytes / info.values,
                "bytes": {
                    "trainer": agreed.trainer.stream_bytes,
                    "golden": agreed.golden.stream_bytes,
                    "rtl": agreed.rtl[0].stream_bytes,
                    "traffic": agreed.traffic.stream_bytes,
                },
                "payload_bits": agreed.trainer.payload_bits,
                "transaction_bytes": agreed.trainer.transaction_bytes,
                "cycles": {verb: run.directions[name].cycles for verb, name in verbs.items()},
                "cycles_formula": {verb: run.directions[name].cycles_formula for verb, name in verbs.items()},
                "digests_equal": agreed.digests_equal,
                "agrees": agreed.agrees,
            }
        )
    summary: dict[str, Any] = {
        "command": f"actcodec demo --model {model} --target-bits {target_bits} --recipe {recipe} --codec {codec} "
        f"--device {device} --image {image} --seed {seed}",
        "network": network.name,
        "dataset": network.dataset,
        "test_images": len(test),
        "method": plan.provenance.method,
        "accuracy_float": results["float"].accuracy,
        "accuracy_int8": results["int8"].accuracy,
        "accuracy_golden": results["golden"].accuracy,
        "accuracy_golden_w8": results["golden_w8"].accuracy,
        "bits_per_value": tables.bpv_stream,
        "bpv_relu": tables.bpv_relu,
        "bpv_net": {str(b): tables.bpv_net(b) for b in (1, 16)},
        "ratio_vs_8bit": 8 / tables.bpv_stream,
        "codec_mac_share": tables.provenance.codec_mac_share,
        "bytes": agreement.stream_bytes(),
        "digests_equal": agreement.digests_equal,
        "agrees": agreement.agrees and all(run.agrees for run in runs),
        "cosim": {
            run.simulator: {"agrees": run.agrees, "cycles": run.cycles, "seconds": round(run.seconds, 1)}
            for run in runs
        },
        "tables_digest": runs[0].tables_digest,
        "traffic": {
            codec_traffic.codec: {
                "moved_bytes": codec_traffic.moved_bytes(16),
                "ratio_vs_8bit": codec_traffic.ratio(8, 16),
                "dram_cycles": codec_traffic.memory_limited.resident.cycles,
                "row_hit_rate": codec_traffic.memory_limited.resident.row_hit_rate,
                "dram_energy_pj": codec_traffic.memory_limited.resident.energy.total,
            }
            for codec_traffic in traffic.codecs
        },
        "seconds": round(time.monotonic() - begin, 1),
        "sites": sites,
    }
    write_json(out / "summary.json", summary)
    if json_output:
        print_json(summary)
    else:
        _print(summary, out)
    if not summary["agrees"]:
        problems = agreement.problems() or ["measured cycles differ from the formula"]
        raise ActcodecError(out / "summary.json", f"the stages disagree: {problems[0]}")


def _print(summary: dict[str, Any], out: Path) -> None:
    print_table(
        f"{summary['network']} at {summary['bits_per_value']:.3f} bits a value",
        "site|C×H×W|transform|kept|bits/value|trainer B|golden B|RTL B|traffic B|encode|decode|agrees",
        [
            (
                site["name"],
                "×".join(str(side) for side in site["shape"]),
                site["transform"],
                site["kept"],
                site["bits_per_value"],
                *site["bytes"].values(),
                site["cycles"]["encode"],
                site["cycles"]["decode"],
                site["agrees"],
            )
            for site in summary["sites"]
        ],
    )
    typer.echo(
        f"accuracy {summary['accuracy_float']:.2%} float, {summary['accuracy_golden']:.2%} through the codec; "
        f"{summary['ratio_vs_8bit']:.2f}× smaller than 8 bit; bpv_net {summary['bpv_net']['1']:.3f} (batch 1) "
        f"{summary['bpv_net']['16']:.3f} (batch 16)\n"
        f"bytes {summary['bytes']}, digests equal: {summary['digests_equal']}\n"
        f"{out / 'summary.json'}\n{out / 'report' / 'index.html'}"
    )
