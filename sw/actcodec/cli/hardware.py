"""Verbs of the hardware: rtl, descriptors, cosim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actcodec.cli.options import (
    CheckpointOption,
    DataRootOption,
    JsonOption,
    SeedOption,
    SimulatorName,
    SitesOption,
    TablesOption,
    note,
    open_network,
    print_json,
    print_table,
    use_threads,
)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(epilog="**Example**: `actcodec rtl --tables build/tables --out build/rtl`")(rtl)
    app.command(epilog="**Example**: `actcodec descriptors --tables build/tables --tile 8x8 --halo 1`")(descriptors)
    app.command(epilog="**Example**: `actcodec cosim --tables build/tables --sim icarus --image 7`")(cosim)


def rtl(
    out: Annotated[Path, typer.Option("--out", help="Directory of the RTL to write.")] = Path("build/rtl"),
    codec: Annotated[str, typer.Option("--codec", help="Codec parameters: a name in configs/codec or a TOML file.")] = (
        "default"
    ),
    tables: Annotated[
        Path | None, typer.Option("--tables", help="Take the parameters from these tables, and write their images.")
    ] = None,
    lint: Annotated[bool, typer.Option("--lint", help="Check the Verilog with Verilator's linter.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Write the Verilog of codec and AXI shell, ports, register map, C header, file list and table images."""
    import numpy as np

    from actcodec.files import write_bytes, write_text
    from actcodec.params import load_params
    from actcodec.tables import load_tables
    from actcodec.tables.image import decoder_image, encoder_image, framed_image, to_hex
    from actcodec_rtl.generate import FILE_LIST, generate
    from actcodec_rtl.lint import lint as check

    loaded = load_tables(tables) if tables else None
    params = loaded.params if loaded else load_params(codec)
    fresh = generate(params, out)
    if loaded:
        images = {"encoder": encoder_image(params, loaded.sites), "decoder": decoder_image(params, loaded.sites)}
        for name, image in images.items():
            write_text(out / f"{name}_tables.hex", to_hex(image))
        packet = np.concatenate([framed_image(name, image) for name, image in images.items()])
        write_text(out / "axi_tables.hex", to_hex(packet))
        write_bytes(out / "axi_tables.bin", packet.tobytes())
    if lint:
        check(out)
    files = (out / FILE_LIST).read_text().split()
    if json_output:
        print_json({"directory": str(out), "generated": fresh, "codec": params.as_json(), "files": files})
    else:
        state = "generated" if fresh else "up to date"
        typer.echo(f"{out}: {len(files)} Verilog files, {state}{', lint clean' if lint else ''}")


def descriptors(
    tables: TablesOption,
    tile: Annotated[str, typer.Option("--tile", metavar="HxW", help="Positions of a tile: height x width.")],
    halo: Annotated[int, typer.Option("--halo", min=0, help="Neighbours that a tile takes along on every side.")] = 0,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Only rows and columns that are multiples of it.")] = 1,
    align: Annotated[
        int | None, typer.Option("--align", help="Bytes that streams are aligned to; default the DRAM transaction.")
    ] = None,
    base: Annotated[int, typer.Option("--base", min=0, help="Byte address of the first stream.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Directory of descriptors.json and .csv.")] = Path(
        "build/descriptors"
    ),
    json_output: JsonOption = False,
) -> None:
    """Write what a DMA needs to fetch tiles: addresses and words, and the decoder's job, for every site and plane."""
    from actcodec.errors import ActcodecError
    from actcodec.files import write_json, write_text
    from actcodec.tables import load_tables
    from actcodec.tables.descriptors import Tiling, all_descriptors, as_csv, as_json

    sides = tile.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() for side in sides):
        raise ActcodecError("descriptors", f"--tile {tile!r} is not HEIGHTxWIDTH")
    tiling = Tiling(int(sides[0]), int(sides[1]), halo, stride)
    loaded = load_tables(tables)
    default = max(loaded.transaction_bytes, loaded.params.word_bytes)
    found = all_descriptors(loaded, tiling, base, default if align is None else align)
    content = as_json(loaded, tiling, found)
    write_json(out / "descriptors.json", content)
    write_text(out / "descriptors.csv", as_csv(found))
    if json_output:
        print_json(content)
    else:
        moved = sum(descriptor.words for descriptor in found) * loaded.params.word_bytes
        typer.echo(f"{out}: {len(found)} descriptors of {len(loaded.sites)} sites, {moved} bytes fetched")


def cosim(
    tables: Annotated[Path | None, typer.Option("--tables", help="Directory of tables; real activations.")] = None,
    synthetic: Annotated[
        str | None, typer.Option("--synthetic", help="Instead: random tables and data for this codec configuration.")
    ] = None,
    sim: Annotated[SimulatorName, typer.Option("--sim", help="Simulator.")] = SimulatorName.VERILATOR,
    image: Annotated[int, typer.Option(min=0, help="Number of the test image whose activations are used.")] = 0,
    stall: Annotated[
        float, typer.Option(min=0, max=0.95, help="Probability of a stall a cycle and port in the second pass.")
    ] = 0.3,
    out: Annotated[Path, typer.Option("--out", help="Directory of results, log and waveform.")] = Path("build/cosim"),
    cache: Annotated[Path, typer.Option(help="Directory of builds, named by their content.")] = Path("build/cache"),
    waves: Annotated[bool, typer.Option(help="Record a waveform.")] = False,
    checkpoint: CheckpointOption = None,
    sites: SitesOption = None,
    seed: SeedOption = 0,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Run every site through the Verilog and compare every word, digest and cycle with the golden model."""
    import numpy as np

    from actcodec.errors import ActcodecError
    from actcodec.files import write_json
    from actcodec_sim.cosim import cosimulate

    if (tables is None) == (synthetic is None):
        raise ActcodecError("cosim", "needs either --tables or --synthetic")
    if tables is not None:
        from actcodec.activations import stored_activations
        from actcodec.data import load_dataset
        from actcodec.tables import load_tables

        use_threads(1)
        loaded = load_tables(tables)
        source = loaded.provenance
        network = open_network(source.network, data_root, checkpoint, source.dataset, sites, tables)
        images = load_dataset(network.dataset, "test", data_root).images
        if image >= len(images):
            raise ActcodecError("cosim", f"--image {image}: the test set has {len(images)} images")
        batch = stored_activations(network, loaded, images[image : image + 1])
        activations = {name: x[0] for name, x in batch.items()}
    else:
        from actcodec.params import load_params
        from actcodec.tables.synthetic import synthetic_tables

        loaded = synthetic_tables(seed, load_params(str(synthetic)))
        rng = np.random.default_rng(seed)
        shapes = {s.info.name: (s.info.height, s.info.width, s.info.channels) for s in loaded.sites}
        activations = {name: rng.integers(0, 256, shape).astype(np.uint8) for name, shape in shapes.items()}
    note(f"co-simulating {len(loaded.sites)} sites in {sim.value}; the first build takes a minute")
    result = cosimulate(loaded, activations, sim.value, cache, out / sim.value, seed=seed, stall=stall, waves=waves)
    write_json(out / f"{sim.value}.json", result.as_json())
    if json_output:
        print_json(result.as_json())
    else:
        print_table(
            f"{sim.value}: {result.cycles} cycles in {result.seconds:.1f} s",
            "site|encode cycles|formula|decode cycles|formula|words/cycle|stalls in/out|stream bytes|agrees",
            [
                (
                    site.name,
                    site.encoder.cycles,
                    site.encoder.cycles_formula,
                    site.decoder.cycles,
                    site.decoder.cycles_formula,
                    site.encoder.words_per_cycle,
                    f"{site.encoder.input_stalls}/{site.encoder.output_stalls}",
                    site.stream_bytes,
                    site.agrees,
                )
                for site in result.sites
            ],
        )
    if not result.agrees:
        wrong = ", ".join(site.name for site in result.sites if not site.agrees)
        raise ActcodecError("cosim", f"measured cycles, counters or digests differ from the prediction in: {wrong}")
