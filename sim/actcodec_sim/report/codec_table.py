"""Codecs side by side as a flat table: one line a codec, what a frame moves and what it costs."""

from __future__ import annotations

import csv
import io
from typing import Any

from actcodec.codecs import CodecStore
from actcodec_sim.traffic import CodecTraffic, EnergyReport, TrafficReport
from actcodec_sim.traffic.result import BATCHES


def codec_rows(report: TrafficReport, store: CodecStore | None = None) -> list[dict[str, Any]]:
    """One row a codec under the names of the JSON report; bytes, cycles of tCK and picojoules of a frame.

    ``store`` adds the images that were measured and how many of them are right.
    """
    return [_row(codec, report.energy, store) for codec in report.codecs]


def codecs_csv(report: TrafficReport, store: CodecStore | None = None) -> str:
    """`codec_rows` as CSV with a header line."""
    rows = codec_rows(report, store)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(codec: CodecTraffic, energy: EnergyReport | None, store: CodecStore | None) -> dict[str, Any]:
    sites, resident = codec.sites, codec.memory_limited.resident
    row: dict[str, Any] = {
        "codec": codec.codec,
        "payload_bytes": sum(site.payload_bytes for site in sites),
        "padding_bytes": sum(site.padding_bytes for site in sites),
        "header_bytes": sum(site.header_bytes for site in sites),
        "rounding_bytes": sum(site.rounding_bytes for site in sites),
        "modify_bytes": sum(site.modify_bytes for site in sites),
        "table_bytes": codec.table_bytes,
        "write_bytes": sum(site.write_bytes for site in sites),
        "read_bytes": sum(site.read_bytes for site in sites),
        "bpv_stream": codec.bpv_stream(),
        **{f"bpv_net_{batch}": codec.bpv_net(batch) for batch in BATCHES},
        **{f"moved_bytes_{batch}": codec.moved_bytes(batch) for batch in BATCHES},
        **{f"ratio_8_bit_{batch}": codec.ratio(8, batch) for batch in BATCHES},
        "requests": resident.requests,
        "row_hits": resident.row_hits,
        **{f"cycles_{batch}": codec.memory_limited.cycles(batch) for batch in BATCHES},
        **{f"paced_cycles_{batch}": codec.paced.cycles(batch) for batch in BATCHES},
    }
    if energy is not None:
        balance = energy.codec(codec.codec)
        row["encode_pj"], row["decode_pj"] = balance.encode.total, balance.decode.total
        for batch in BATCHES:
            row[f"memory_pj_{batch}"] = balance.memory_pj[batch]
            row[f"codec_pj_{batch}"] = balance.codec_pj(batch)
            row[f"net_pj_{batch}"] = balance.net_pj(batch)
    if store is not None:
        measured = store.codec(codec.codec)
        row |= {"images": store.images, "correct": measured.correct, "agreement": measured.agreement}
    return row
