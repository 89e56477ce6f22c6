"""Verb of comparisons: sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actcodec.cli.options import (
    CheckpointOption,
    CodecOption,
    DataRootOption,
    DatasetOption,
    JobsOption,
    JsonOption,
    SchedulerOption,
    note,
    print_json,
    print_table,
    use_threads,
)
from actcodec.errors import ActcodecError


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog="**Example**: `actcodec sweep --model cifar10-resnet20 --methods p1q,waterfill,p1q+tuned "
        "--targets 4,3,2.5 --out build/sweep --jobs 2`"
    )(sweep)


def sweep(
    out: Annotated[Path, typer.Option("--out", help="Directory of points, sweep.json and sweep.svg.")],
    methods: Annotated[str, typer.Option(help="Recipes of configs/learn, a,b,c; a+b puts stage b over recipe a.")],
    targets: Annotated[str, typer.Option(help="Stream bits a value, a,b,c.")],
    model: Annotated[str, typer.Option("--model", help="Network.")] = "cifar10-resnet20",
    seeds: Annotated[str, typer.Option(help="Seeds, a,b,c.")] = "0",
    codec: CodecOption = "default",
    checkpoint: CheckpointOption = None,
    dataset: DatasetOption = None,
    images: Annotated[int | None, typer.Option(min=1, help="Only the first so many test images.")] = None,
    jobs: JobsOption = 1,
    scheduler: SchedulerOption = None,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Methods × targets on one network, accuracy on the whole test set; what is there already is not done again."""
    from actcodec.cluster import reach
    from actcodec.data import load_dataset
    from actcodec.evaluate import float_logits
    from actcodec.files import write_json
    from actcodec.learn import load_recipe
    from actcodec.networks import load_network
    from actcodec.params import load_params
    from actcodec.sweep.plot import draw
    from actcodec.sweep.point import Point, Setting
    from actcodec.sweep.run import FAILURE, run_sweep

    points = [
        Point(model, method, target, int(seed))
        for method in _parts("methods", methods)
        for target in _numbers("targets", targets)
        for seed in _numbers("seeds", seeds)
    ]
    for point in points:
        load_recipe(point.method)
    reach(scheduler)
    network = load_network(model, data_root, checkpoint, dataset=dataset)
    test = load_dataset(network.dataset, "test", data_root)
    test = test if images is None else test.head(images)
    use_threads(1)
    expected = float_logits(network, test).numpy()
    accuracy = float((expected.argmax(1) == test.labels).mean())
    setting = Setting(load_params(codec), data_root, checkpoint, images, expected, dataset)
    results = run_sweep(points, setting, out, jobs, note, scheduler)
    summary = {"network": model, "codec": codec, "accuracy_float": accuracy, "points": results}
    write_json(out / "sweep.json", summary)
    draw(results, accuracy, out / "sweep.svg")
    if json_output:
        print_json(summary)
        return
    print_table(
        f"{model}, {accuracy:.2%} uncompressed",
        "method|target|panel|accuracy %|bpv_stream|bpv_relu|bpv_net 1|bpv_net 16|vs 8 bit|codec MACs %",
        [
            (
                result["method"],
                result["target_bits"],
                result["panel"],
                100 * result["accuracy"],
                result["bpv_stream"],
                result["bpv_relu"] or "",
                result["bpv_net"]["1"],
                result["bpv_net"]["16"],
                result["ratio"]["8"],
                100 * result["codec_mac_share"],
            )
            for result in results
            if FAILURE not in result
        ],
    )


def _parts(name: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ActcodecError("sweep", f"--{name} {text!r} names nothing")
    return parts


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(part) for part in _parts(name, text)]
    except ValueError:
        raise ActcodecError("sweep", f"--{name} {text!r} holds something that is no number") from None
