"""The traffic that a report is about: of tables, of measured codecs, or of codecs with the tables among them."""

from __future__ import annotations

from dataclasses import replace

from actcodec.codecs import CodecStore
from actcodec.errors import ActcodecError
from actcodec.tables import Tables
from actcodec_sim.traffic import TrafficReport, check_tables, run_codecs, run_traffic
from actcodec_sim.traffic.from_codecs import DEFAULT_ENERGY


def frame_report(
    tables: Tables | None, store: CodecStore | None, device: str, energy: str = DEFAULT_ENERGY
) -> TrafficReport:
    """Codecs of ``store`` with their energy where it is given, else raw bytes and ``tables``, on ``device``.

    With both, the provenance is that of both. Raises ActcodecError where neither is given, the codecs were measured
    with other tables or without them, or as `run_codecs` and `run_traffic` do.
    """
    if store is None:
        if tables is None:
            raise ActcodecError("report", "needs --tables or --codecs")
        return run_traffic(tables, device)
    if tables is not None:
        check_tables(store, tables)
        store.codec("actcodec")
    report = run_codecs(store, device, energy=energy)
    if tables is None:
        return report
    named = {name: str(value) for name, value in tables.provenance.model_dump().items()}
    return replace(report, provenance={**report.provenance, **named, "table_residency": tables.residency})
