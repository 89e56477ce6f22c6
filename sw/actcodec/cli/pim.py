"""Verbs of the process-in-memory macro: pim rtl, pim cosim, pim energy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actcodec.cli.options import (
    CheckpointOption,
    DataRootOption,
    JsonOption,
    SeedOption,
    SimulatorName,
    note,
    print_json,
    print_table,
    use_threads,
)

if TYPE_CHECKING:
    from actcodec.pim.network import QuantizedConvolution

ArrayOption = Annotated[str, typer.Option("--array", help="The macro: a name in configs/pim or a TOML file.")]
ModelOption = Annotated[str, typer.Option("--model", help="Network whose convolution is computed.")]
LayerOption = Annotated[str, typer.Option("--layer", help="Name of the convolution.")]
CacheOption = Annotated[Path, typer.Option(help="Directory of builds and netlists, named by their content.")]
LAYER = "layer2.1.conv1"


def register(app: typer.Typer) -> None:
    """Add the group of verbs to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Process-in-memory macro: Verilog, co-simulation, energy per MAC.")
    group.command(epilog="**Example**: `actcodec pim rtl --array wide --out build/rtl/pim --lint`")(rtl)
    group.command(epilog="**Example**: `actcodec pim cosim --sim icarus --weight-bits 2 --input-bits 8`")(cosim)
    group.command(epilog="**Example**: `actcodec pim energy --model cifar10-resnet20 --out build/pim.json`")(energy)
    app.add_typer(group, name="pim")


def rtl(
    out: Annotated[Path, typer.Option("--out", help="Directory of the RTL to write.")] = Path("build/rtl/pim"),
    array: ArrayOption = "default",
    lint: Annotated[bool, typer.Option("--lint", help="Check the Verilog with Verilator's linter.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Write the macro's Verilog, its ports as JSON and a file list."""
    from actcodec.pim import load_pim_params
    from actcodec_rtl.generate import FILE_LIST
    from actcodec_rtl.lint import lint as check
    from actcodec_rtl.pim.generate import TOP, generate_pim

    params = load_pim_params(array)
    fresh = generate_pim(params, out)
    if lint:
        check(out, (TOP,))
    files = (out / FILE_LIST).read_text().split()
    if json_output:
        print_json({"directory": str(out), "generated": fresh, "pim": params.as_json(), "files": files})
    else:
        state = "generated" if fresh else "up to date"
        typer.echo(f"{out}: {len(files)} Verilog files, {state}{', lint clean' if lint else ''}")


def cosim(
    sim: Annotated[SimulatorName, typer.Option("--sim", help="Simulator.")] = SimulatorName.VERILATOR,
    array: ArrayOption = "default",
    model: ModelOption = "mnist-resnet12",
    layer: LayerOption = LAYER,
    weight_bits: Annotated[int, typer.Option(help="Bits of the weights: 2, 4, 8 or 16.")] = 4,
    input_bits: Annotated[int, typer.Option(help="Bits of the activations: 2, 4, 8 or 16.")] = 4,
    image: Annotated[int, typer.Option(min=0, help="Number of the test image.")] = 0,
    positions: Annotated[int, typer.Option(min=1, help="Positions of the layer that are computed.")] = 32,
    stall: Annotated[float, typer.Option(min=0, max=0.95, help="Probability of a stall a cycle and port.")] = 0.3,
    out: Annotated[Path, typer.Option("--out", help="Directory of results and log.")] = Path("build/pim/cosim"),
    cache: CacheOption = Path("build/cache"),
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Run positions of a network's convolution through the Verilog; every sum has to be that of the convolution."""
    import numpy as np

    from actcodec.errors import ActcodecError
    from actcodec.files import write_json
    from actcodec.pim import load_pim_params
    from actcodec_sim.pim.batch import layer_batches, layer_outputs
    from actcodec_sim.pim.cosim import cosimulate_pim

    use_threads(1)
    params = load_pim_params(array)
    found = _layer(model, layer, weight_bits, input_bits, slice(image, image + 1), checkpoint, data_root)
    sums = found.integer_convolution()[0].reshape(len(found.weights), -1).T
    if not np.array_equal(found.outputs(params)[0].reshape(len(found.weights), -1).T, sums):
        raise ActcodecError("pim cosim", "the golden model is not the integer convolution")
    chosen = np.linspace(0, len(sums) - 1, min(positions, len(sums))).astype(int)
    vectors, matrix = found.vectors()[chosen], found.matrix()
    batches = layer_batches(params, found.mode, vectors, matrix)
    note(f"co-simulating {len(batches)} tiles in {sim.value}; the first build takes a minute")
    result = cosimulate_pim(
        params, batches, sim.value, cache, out / sim.value, seed=seed, stall=stall, output_stall=stall
    )
    taken = [batch.taken for batch in result.batches]
    if not np.array_equal(layer_outputs(params, found.mode, matrix.shape, taken), sums[chosen]):
        raise ActcodecError("pim cosim", "sums of the tiles differ from the integer convolution")
    content = {
        "model": model,
        "layer": layer,
        "mode": found.mode.name,
        "pim": params.as_json(),
        "image": image,
        "positions": len(chosen),
        "sums": int(sums[chosen].size),
        "golden_sums": int(sums.size),
        **result.as_json(),
    }
    write_json(out / f"{sim.value}.json", content)
    if json_output:
        print_json(content)
    else:
        cycles = sum(batch.cycles for batch in result.batches)
        typer.echo(
            f"{sim.value}: {layer} in {found.mode.name}, {content['sums']} sums of {len(chosen)} positions equal the "
            f"integer convolution; {len(batches)} tiles, {cycles} cycles as predicted, {result.seconds:.1f} s"
        )


def energy(
    array: ArrayOption = "default",
    model: ModelOption = "mnist-resnet12",
    layer: LayerOption = LAYER,
    images: Annotated[int, typer.Option(min=1, help="Test images whose activations are used.")] = 4,
    vectors: Annotated[int, typer.Option(min=1, help="Input vectors of each of the 64 runs.")] = 8,
    constants: Annotated[
        str, typer.Option(help="Energy constants: a name in configs/pim-energy or a TOML file.")
    ] = "45nm",
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("build/pim.json"),
    cache: CacheOption = Path("build/cache"),
    checkpoint: CheckpointOption = None,
    seed: SeedOption = 0,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Energy per MAC at 2, 4, 8 and 16 bits from what switches in the macro's gates, beside the published figures."""
    from actcodec.files import write_json
    from actcodec.pim import WIDTHS, load_pim_params
    from actcodec.pim.energy import per_mac
    from actcodec_sim.pim.constants import load_gate_energy
    from actcodec_sim.pim.energy import Operands, layer_operands, measure_energy, uniform_operands

    use_threads(1)
    params, gate_energy = load_pim_params(array), load_gate_energy(constants)
    operands: list[Operands] = []
    layers = []
    for bits in WIDTHS:
        found = _layer(model, layer, bits, bits, slice(images), checkpoint, data_root)
        operands.append(layer_operands(params, found.mode, found.vectors(), found.matrix(), vectors))
        layers.append({"bits": bits, "density": found.density, "ones": found.bit_density})
    operands += [uniform_operands(params, each.mode, vectors, seed) for each in operands[: len(WIDTHS)]]
    note("simulating the macro's gates; their synthesis takes minutes where it is not kept")
    measured = measure_energy(params, operands, gate_energy, cache)
    content: dict[str, Any] = {
        "model": model,
        "layer": layer,
        "images": images,
        "vectors": vectors,
        "seed": seed,
        "pim": params.as_json(),
        "activations": layers,
        "published": dict(per_mac("published")),
        "constants": gate_energy.as_json(),
        "layer_operands": measured[: len(WIDTHS)],
        "uniform_operands": measured[len(WIDTHS) :],
    }
    write_json(out, content)
    if json_output:
        print_json(content)
        return
    for title, rows in (
        (f"{model} {layer}", content["layer_operands"]),
        ("uniform random operands", content["uniform_operands"]),
    ):
        _print(f"{params.rows} × {params.columns} cells, {title}", rows)


def _print(title: str, rows: list[dict[str, Any]]) -> None:
    """A column a width: every block, array and shift accumulators, the whole macro, and what is published."""
    lines: list[tuple[str, list[float]]] = [
        (name.removeprefix("pim_"), [sum(row["blocks"][name].values()) for row in rows]) for name in rows[0]["blocks"]
    ]
    lines += [
        ("array, shift-accumulate", [row["array_fj"] for row in rows]),
        ("whole macro", [row["total_fj"] for row in rows]),
        ("published, no peripherals", [row["published_fj"] for row in rows]),
    ]
    bits = "|".join(f"{row['input_bits']} bits" for row in rows)
    print_table(title, f"fJ/MAC|{bits}", [(name, *values) for name, values in lines])


def _layer(
    model: str,
    layer: str,
    weight_bits: int,
    input_bits: int,
    images: slice,
    checkpoint: Path | None,
    data_root: Path | None,
) -> QuantizedConvolution:
    """The convolution in integers on test images."""
    from actcodec.data import load_dataset
    from actcodec.errors import ActcodecError
    from actcodec.networks import load_network
    from actcodec.pim.network import quantized_convolution
    from actcodec.pim.params import PimMode

    mode = PimMode(weight_bits, input_bits)  # type: ignore[arg-type]  # refused where it is no width
    network = load_network(model, data_root, checkpoint)
    test = load_dataset(network.dataset, "test", data_root).images[images]
    if not len(test):
        raise ActcodecError("pim", f"the test set has no image {images.start}")
    return quantized_convolution(network, layer, test, mode.weight_bits, mode.input_bits)
