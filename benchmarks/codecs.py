"""Every codec side by side on real activations: bytes, cycles, energy and what is left of the saving.

    python benchmarks/codecs.py [NETWORK …] [--stores build/codecs]

NETWORK is resnet20 or mobilenetv2, both by default. Activations are captured and every codec is measured once, into
``--stores`` (minutes to an hour; what a store there has is not measured again); then the traffic of whole frames is
computed and benchmarks/results/codecs_NETWORK.json written, with the seconds that this second step took.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from actcodec.codecs import CodecStore, load_codecs, save_codecs
from actcodec.files import write_json
from actcodec_sim.report import codec_rows
from actcodec_sim.traffic import EnergyReport, TrafficReport, energy_report, load_energy, run_codecs

RESULTS = Path(__file__).parent / "results"
DEVICE = "DDR4-2400"
ENERGIES = ("45nm", "45nm-analytic")


@dataclass(frozen=True)
class Case:
    """A network with the tables that are compared with the other codecs, and how much of the data is used."""

    model: str
    tables: Path
    images: int
    calibration_images: int
    others: tuple[tuple[str, str, float], ...] = ()
    """More tables beside these: name, recipe and stream bits a value, learned here without training."""


CASES = {
    "resnet20": Case(
        "cifar10-resnet20",
        RESULTS / "tables" / "resnet20-p1q-2.5",
        64,
        128,
        (("waterfill", "waterfill", 3.0), ("density", "density", 4.0)),
    ),
    "mobilenetv2": Case("imagenet-mobilenetv2", RESULTS / "codec_tables" / "mobilenetv2-waterfill-4", 16, 8),
}


def measured(case: Case, store: CodecStore | None, report: Callable[[str], None]) -> CodecStore:
    """Run the network through every codec that ``store`` has not."""
    import torch

    from actcodec.cli.options import open_network
    from actcodec.codecs.measure import Ours, measure_codecs
    from actcodec.data import load_dataset
    from actcodec.export import integer_tables
    from actcodec.learn import learn, load_recipe
    from actcodec.tables import load_tables

    torch.set_num_threads(1)
    tables = load_tables(case.tables)
    network = open_network(case.model, None, None, None, None)
    train, test = (load_dataset(network.dataset, split) for split in ("train", "test"))
    run = partial(measure_codecs, network, train, test.head(case.images), params=tables.params, report=report)
    if store is None:
        own = Ours(tables, open_network(case.model, None, None, None, None, case.tables))
        store = run(ours=own, calibration_images=case.calibration_images)
    for name, recipe, target in case.others:
        if name not in [codec.name for codec in store.codecs]:
            plan = learn(network, train, target, recipe=load_recipe(recipe), params=tables.params, progress=False)
            store = store.joined(run(ours=Ours(integer_tables(plan, max_mac_share=1.0), network, name), names=[name]))
    return store


def balance(report: TrafficReport, store: CodecStore, energy: str) -> EnergyReport:
    """The energy of a report by the constants called ``energy``."""
    return energy_report(report.codecs, load_energy(energy), store.network_macs)


def summary(store: CodecStore, reports: dict[str, TrafficReport], seconds: float) -> dict[str, Any]:
    """What is kept: a row a codec, the constants with their sources, how each codec was calibrated."""
    first = reports[ENERGIES[0]]
    rows = codec_rows(first, store)
    for row in rows:
        for name, report in reports.items():
            assert report.energy is not None, "run_codecs gives it"
            balance = report.energy.codec(row["codec"])
            row[f"net_pj_16 {name}"] = balance.net_pj(16)
    return {
        "network": store.network,
        "dataset": store.dataset,
        "images": store.images,
        "correct": store.correct,
        "device": DEVICE,
        "tables_digest": store.tables_digest,
        "sites": len(store.sites),
        "values": store.values,
        "network_macs": store.network_macs,
        "traffic_seconds": round(seconds, 1),
        "network_macs_pj": {name: report.energy.network_pj for name, report in reports.items() if report.energy},
        "constants": {name: load_energy(name).model_dump(by_alias=True) for name in ENERGIES},
        "methods": {codec.name: codec.method for codec in store.codecs},
        "codecs": rows,
    }


def main() -> None:
    """Measure what is not measured yet, then compute and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--stores", type=Path, default=Path("build/codecs"))
    arguments = parser.parse_args()
    for name in arguments.networks or CASES:
        case, path = CASES[name], arguments.stores / f"{name}.json"
        kept = load_codecs(path) if path.exists() else None
        started = time.perf_counter()
        store = measured(case, kept, lambda line: print(line, flush=True))
        if store is not kept:
            save_codecs(store, path)
            print(f"{name}: measured in {time.perf_counter() - started:.0f} s", flush=True)
        started = time.perf_counter()
        first = run_codecs(store, DEVICE, energy=ENERGIES[0])
        seconds = time.perf_counter() - started
        # The traffic is the same: only the balance is drawn up again.
        reports = {energy: replace(first, energy=balance(first, store, energy)) for energy in ENERGIES}
        write_json(RESULTS / f"codecs_{name}.json", summary(store, reports, seconds))
        print(f"{name}: traffic of {len(store.codecs)} codecs in {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
