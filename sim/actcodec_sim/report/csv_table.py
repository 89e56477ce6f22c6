"""The traffic report as a flat table: one line a codec and site."""

from __future__ import annotations

import csv
import io

from actcodec_sim.traffic import TrafficReport


def traffic_csv(report: TrafficReport) -> str:
    """CSV with a header line: codec, then the figures of a site under the names of the JSON report."""
    rows = [
        {"codec": codec.codec, **site.to_json(), "shape": "x".join(map(str, site.stored.shape))}
        for codec in report.codecs
        for site in codec.sites
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
