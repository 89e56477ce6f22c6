"""Networks on every accelerator of configs/accelerator: bytes, cycles, what bounds them, energy.

    python benchmarks/accelerators.py

writes benchmarks/results/accelerators.json: ResNet-20 with all codecs of its kept store, MobileNetV2 at 224×224 with
raw bytes and the kept tables, on each preset with LPDDR4-3200; and the seconds that each network took.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actcodec.codecs import load_codecs
from actcodec.configs import configs_folder
from actcodec.files import write_json
from actcodec.networks import network_spec
from actcodec.networks.layers import layer_graph
from actcodec.tables import digest_of, load_tables
from actcodec_sim.accelerator import AcceleratorReport, load_accelerator, run_network
from actcodec_sim.dram import load_device, simulate, single_phase
from actcodec_sim.traffic import load_energy

RESULTS = Path(__file__).parent / "results"
DEVICE, ENERGY = "LPDDR4-3200", "45nm"


@dataclass(frozen=True)
class Case:
    """The tables of a network, and the measured codecs where they are kept."""

    tables: Path
    store: Path | None = None


CASES = (
    Case(RESULTS / "tables" / "resnet20-p1q-2.5", RESULTS / "codec_stores" / "resnet20.json"),
    Case(RESULTS / "codec_tables" / "mobilenetv2-waterfill-4"),
)


def rows(report: AcceleratorReport) -> list[dict[str, Any]]:
    """One row a codec."""
    assert report.energy is not None, "run_network gives it"
    found = []
    for run in report.runs:
        balance = report.energy.codec(run.codec)
        found.append(
            {
                "codec": run.codec,
                **{f"{name}_bytes": getattr(run.bytes, name) for name in ("activations", "others", "weights")},
                "cycles": run.cycles,
                "nanoseconds": run.nanoseconds,
                "utilization": run.utilization,
                "bounds": run.bounds(),
                "staging_bytes": run.staging_bytes,
                "memory_pj": balance.memory_pj,
                "memory_weights_pj": balance.weights_pj,
                "idle_pj": run.idle_energy_pj,
                "codec_pj": balance.codec_pj,
                "net_pj": balance.net_pj,
            }
        )
    return found


def measured(case: Case, accelerators: list[str]) -> dict[str, Any]:
    """A network on every accelerator; seconds are of the model alone, tables and layers being loaded."""
    tables = load_tables(case.tables)
    store = None if case.store is None else load_codecs(case.store)
    spec = network_spec(tables.provenance.network, tables.provenance.dataset)
    graph = layer_graph(tables.provenance.network, spec.build(), spec.input_shape)
    device, energy = load_device(DEVICE), load_energy(ENERGY)
    found: dict[str, Any] = {}
    for name in accelerators:
        started, processor = time.perf_counter(), time.process_time()
        report = run_network(graph, load_accelerator(name), device, energy=energy, tables=tables, store=store)
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        found[name] = {
            "seconds": round(seconds, 1),
            "processor_seconds": round(processor, 1),
            "ridge_macs_per_byte": report.ridge,
            "codecs": rows(report),
        }
        print(f"{graph.network} on {name}: {seconds:.1f} s, {processor:.1f} s of the processor", flush=True)
    return {
        "network": graph.network,
        "tables": str(case.tables.relative_to(RESULTS)),
        "tables_digest": digest_of(tables),
        "codec_store": None if case.store is None else str(case.store.relative_to(RESULTS)),
        "macs": graph.macs,
        "weights": graph.weight_bytes,
        "network_macs_pj": graph.macs * energy.mac.value,
        "accelerators": found,
    }


def main() -> None:
    """Run every case and write the results."""
    simulate(load_device(DEVICE), single_phase([0], [False]))  # compiled here, so that seconds are the model's own
    accelerators = sorted(path.stem for path in (configs_folder() / "accelerator").glob("*.toml"))
    networks = [measured(case, accelerators) for case in CASES]
    write_json(RESULTS / "accelerators.json", {"device": DEVICE, "energy": ENERGY, "networks": networks})


if __name__ == "__main__":
    main()
