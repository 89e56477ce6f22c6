"""Verbs of the hardware: rtl, descriptors, vectors, cosim, coverage."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actcodec.cli.options import (
    CheckpointOption,
    DataRootOption,
    FoldedOption,
    JsonOption,
    SchedulerOption,
    SeedOption,
    SimulatorName,
    SiteOption,
    SitesOption,
    TablesOption,
    note,
    open_network,
    print_json,
    print_table,
    use_threads,
)

if TYPE_CHECKING:
    from actcodec.params import CodecParams
    from actcodec.tables import Tables
    from actcodec_sim.cosim import CosimResult
    from actcodec_sim.cosim.simulators import Simulator

BuildOption = Annotated[
    str | None,
    typer.Option(
        "--codec",
        help="Codec parameters: a name in configs/codec or a TOML file; default those of the tables, or `default`.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(epilog="**Example**: `actcodec rtl --tables build/tables --out build/rtl`")(rtl)
    app.command(epilog="**Example**: `actcodec descriptors --tables build/tables --tile 8x8 --halo 1`")(descriptors)
    app.command(epilog="**Example**: `actcodec vectors --tables build/tables --site conv1 --out build/vectors`")(
        vectors
    )
    app.command(epilog="**Example**: `actcodec cosim --tables build/tables --sim icarus --image 7`")(cosim)
    app.command(epilog="**Example**: `actcodec coverage build/cosim --out build/coverage.json`")(coverage)


def rtl(
    out: Annotated[Path, typer.Option("--out", help="Directory of the RTL to write.")] = Path("build/rtl"),
    codec: BuildOption = None,
    tables: Annotated[
        Path | None, typer.Option("--tables", help="Tables whose images to write; they have to fit the codec.")
    ] = None,
    lint: Annotated[bool, typer.Option("--lint", help="Check the Verilog with Verilator's linter.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Write the Verilog of codec and AXI shell, what integrates them (ports, registers, template) and table images."""
    import numpy as np

    from actcodec.files import write_bytes, write_text
    from actcodec.tables import load_tables
    from actcodec.tables.image import framed_image, image_of, to_hex
    from actcodec_rtl.generate import FILE_LIST, generate
    from actcodec_rtl.lint import lint as check

    loaded = load_tables(tables) if tables else None
    params = _build_for(loaded, codec)
    fresh = generate(params, out)
    if loaded:
        images = {name: image_of(name, params, loaded.sites) for name in params.directions}
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


def _build_for(tables: Tables | None, codec: str | None) -> CodecParams:
    """The parameters of ``codec``, or those of the tables; ActcodecError where the tables do not fit it."""
    from actcodec.errors import ActcodecError
    from actcodec.params import load_params

    if codec is None:
        return tables.params if tables else load_params("default")
    params = load_params(codec)
    problem = params.refuses_tables_of(tables.params) if tables else None
    if problem:
        raise ActcodecError("--tables", f"are for a codec with {problem} as {codec} has it; export them for that codec")
    return params


def descriptors(
    tables: TablesOption,
    tile: Annotated[str, typer.Option("--tile", metavar="HxW", help="Positions of a tile: height x width.")],
    halo: Annotated[int, typer.Option("--halo", min=0, help="Neighbours that a tile takes along on every side.")] = 0,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Only rows and columns that are multiples of it.")] = 1,
    align: Annotated[
        int | None, typer.Option("--align", help="Bytes that streams are aligned to; default the DRAM transaction.")
    ] = None,
    base: Annotated[int, typer.Option("--base", min=0, help="Byte address of the first stream.")] = 0,
    stripe: Annotated[
        int | None,
        typer.Option("--stripe", min=1, help="Rows that the encoder's side stores at a time; default a tile's."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Directory of descriptors.json and .csv, stripes.json and .csv.")
    ] = Path("build/descriptors"),
    json_output: JsonOption = False,
) -> None:
    """Write what a DMA needs to fetch tiles and to store stripes: addresses and words, and the codec's jobs."""
    from actcodec.errors import ActcodecError
    from actcodec.files import write_json, write_text
    from actcodec.tables import load_tables
    from actcodec.tables.descriptors import Descriptor, Tiling, all_descriptors, as_csv, as_json
    from actcodec.tables.stripes import Stripe, all_stripes

    sides = tile.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() for side in sides):
        raise ActcodecError("descriptors", f"--tile {tile!r} is not HEIGHTxWIDTH")
    tiling = Tiling(int(sides[0]), int(sides[1]), halo, stride)
    loaded = load_tables(tables)
    alignment = max(loaded.transaction_bytes, loaded.params.word_bytes) if align is None else align
    rows = tiling.height if stripe is None else stripe
    fetched = all_descriptors(loaded, tiling, base, alignment)
    stored = all_stripes(loaded, rows, base, alignment)
    content = as_json(loaded, fetched, tiling=asdict(tiling)), as_json(loaded, stored, stripe_rows=rows)
    texts = as_csv(Descriptor, fetched), as_csv(Stripe, stored)
    for name, values, text in zip(("descriptors", "stripes"), content, texts, strict=True):
        write_json(out / f"{name}.json", values)
        write_text(out / f"{name}.csv", text)
    if json_output:
        print_json({"fetch": content[0], "store": content[1]})
    else:
        moved = [sum(each.words for each in found) * loaded.params.word_bytes for found in (fetched, stored)]
        typer.echo(
            f"{out}: {len(fetched)} descriptors of {len(loaded.sites)} sites, {moved[0]} bytes fetched; "
            f"{len(stored)} of stripes, {moved[1]} bytes stored"
        )


def vectors(
    tables: TablesOption,
    site: SiteOption,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="IN.npy",
            help="Activations uint8 (H, W, C), of a folded site accumulators int32 (H, W, K); default random ones.",
        ),
    ] = None,
    codec: BuildOption = None,
    out: Annotated[Path, typer.Option("--out", help="Directory to write.")] = Path("build/vectors"),
    seed: SeedOption = 0,
    json_output: JsonOption = False,
) -> None:
    """Write a frame of a site for a testbench of your own: table words, inputs, golden outputs, for $readmemh."""
    import numpy as np

    from actcodec.files import read_array
    from actcodec.tables import load_tables
    from actcodec.tables.synthetic import synthetic_input
    from actcodec_sim.cosim.vectors import write_vectors

    loaded = load_tables(tables)
    build = _build_for(loaded, codec)
    table = loaded.site(site)
    x = synthetic_input(np.random.default_rng(seed), table) if source is None else read_array(source)
    files = write_vectors(out, loaded, site, x, build.directions)
    if json_output:
        print_json({"site": site, "files": [str(path) for path in files]})
    else:
        typer.echo(f"{out}: {len(files)} files, a frame of {site} for {' and '.join(build.directions)}")


def coverage(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULT ...", help="coverage.json of runs, or directories to look for them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("build/coverage.json"),
    json_output: JsonOption = False,
) -> None:
    """Merge the functional coverage of co-simulations and name what none of them did."""
    from actcodec.files import write_json
    from actcodec_sim.cosim.coverage import all_bins, merge_files

    merged = merge_files(results)
    write_json(out, merged.as_json())
    holes = merged.holes()
    if json_output:
        print_json({"runs": len(merged.runs), "bins": len(all_bins()), "holes": [list(hole) for hole in holes]})
    else:
        typer.echo(f"{out}: {len(merged.runs)} runs, {len(all_bins()) - len(holes)} of {len(all_bins())} bins")
        for direction, name in holes:
            typer.echo(f"hole: {direction}, {name}")


def cosim(
    tables: Annotated[Path | None, typer.Option("--tables", help="Directory of tables; real activations.")] = None,
    synthetic: Annotated[
        str | None, typer.Option("--synthetic", help="Instead: random tables and data for this codec configuration.")
    ] = None,
    sim: Annotated[
        list[SimulatorName] | None, typer.Option("--sim", help="Simulator; may be repeated. Default: verilator.")
    ] = None,
    codec: BuildOption = None,
    folded: FoldedOption = None,
    fold: Annotated[bool, typer.Option("--fold", help="Run the sites of --folded, and not those of --tables.")] = False,
    image: Annotated[int, typer.Option(min=0, help="Number of the test image whose activations are used.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A site to run; may be repeated. Default: all of them.")
    ] = None,
    stall: Annotated[
        float, typer.Option(min=0, max=0.95, help="Probability of a stall a cycle and port in the second pass.")
    ] = 0.3,
    output_stall: Annotated[
        float | None, typer.Option(min=0, max=0.95, help="That of the output ports, where it is another one.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Directory of results, log and waveform.")] = Path("build/cosim"),
    cache: Annotated[Path, typer.Option(help="Directory of builds, named by their content.")] = Path("build/cache"),
    waves: Annotated[bool, typer.Option(help="Record a waveform.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            help="Simulate each site on its own, so many at a time; results that are kept are not made again.",
        ),
    ] = None,
    scheduler: SchedulerOption = None,
    checkpoint: CheckpointOption = None,
    sites: SitesOption = None,
    seed: SeedOption = 0,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Run every site through the Verilog and compare every word, digest and cycle with the golden model."""
    import numpy as np

    from actcodec.cluster import reach
    from actcodec.errors import ActcodecError
    from actcodec.files import write_json
    from actcodec_sim.cosim import cosimulate
    from actcodec_sim.cosim.regression import Stimulus, cosimulate_sites

    if (tables is None) == (synthetic is None):
        raise ActcodecError("cosim", "needs either --tables or --synthetic")
    if synthetic is not None and codec is not None:
        raise ActcodecError("cosim", "takes --codec with --tables only: --synthetic names the codec")
    reach(scheduler)
    if tables is not None:
        from actcodec.activations import load_folded, stored_activations
        from actcodec.data import load_dataset
        from actcodec.tables import load_tables

        use_threads(1)
        loaded = load_tables(tables)
        other = load_folded(folded) if folded else None
        if fold and other is None:
            raise ActcodecError("cosim", "takes --fold with --folded only")
        source = loaded.provenance
        network = open_network(source.network, data_root, checkpoint, source.dataset, sites, tables)
        images = load_dataset(network.dataset, "test", data_root).images
        if image >= len(images):
            raise ActcodecError("cosim", f"--image {image}: the test set has {len(images)} images")
        batch = stored_activations(network, loaded, images[image : image + 1], other)
        activations = {name: x[0] for name, x in batch.items()}
        loaded = other.tables if fold and other else loaded
        build = _build_for(loaded, codec)
    else:
        from actcodec.params import load_params
        from actcodec.tables.synthetic import synthetic_input, synthetic_tables

        build = load_params(str(synthetic))
        loaded = synthetic_tables(seed, build)
        rng = np.random.default_rng(seed)
        activations = {site.info.name: synthetic_input(rng, site) for site in loaded.sites}
    simulators: list[Simulator] = [each.value for each in sim or [SimulatorName.VERILATOR]]
    note(
        f"co-simulating {len(only or loaded.sites)} sites in {' and '.join(simulators)}; the first build takes a minute"
    )
    given = Stimulus(build, seed, stall, output_stall, waves)
    if jobs is not None or scheduler is not None:
        results = cosimulate_sites(
            loaded,
            activations,
            simulators,
            cache,
            out,
            given,
            only=only or (),
            jobs=jobs or 1,
            scheduler=scheduler,
            note=note,
        )
    else:
        results = [
            cosimulate(loaded, activations, name, cache, out / name, only=only or (), **vars(given))
            for name in simulators
        ]
    for result in results:
        write_json(out / f"{result.simulator}.json", result.as_json())
    if json_output:
        print_json(results[0].as_json() if len(results) == 1 else [result.as_json() for result in results])
    else:
        for result in results:
            _print_cosim(result)
    for result in results:
        if not result.agrees:
            wrong = ", ".join(site.name for site in result.sites if not site.agrees)
            problem = f"measured cycles, counters or digests differ from the prediction in: {wrong}"
            raise ActcodecError(f"cosim, {result.simulator}", problem)


def _print_cosim(result: CosimResult) -> None:
    print_table(
        f"{result.simulator}: {result.cycles} cycles in {result.seconds:.1f} s",
        "site|direction|cycles|formula|words/cycle|stalls in/out|stream bytes|agrees",
        [
            (
                site.name,
                name,
                direction.cycles,
                direction.cycles_formula,
                direction.words_per_cycle,
                f"{direction.input_stalls}/{direction.output_stalls}",
                site.stream_bytes,
                direction.agrees,
            )
            for site in result.sites
            for name, direction in site.directions.items()
        ],
    )
