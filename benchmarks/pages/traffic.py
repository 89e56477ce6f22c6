"""Codecs side by side and on the accelerators."""

from __future__ import annotations

import functools

from pages.common import RESULTS, Tables, load, markdown


def codecs(network: str) -> str:
    """Codecs side by side on ``network``: bytes of a frame, time, energy and net."""
    result = load(f"codecs_{network}")
    rows = []
    for row in result["codecs"]:
        split = ("payload", "padding", "header", "rounding", "modify", "table")
        right = "" if row["correct"] is None else str(row["correct"])
        rows.append(
            [
                f"`{row['codec']}`",
                f"{row['bpv_stream']:.2f}",
                *(f"{row[f'{part}_bytes'] / 1000:.1f}" for part in split),
                f"{row['ratio_8_bit_1']:.2f} / {row['ratio_8_bit_16']:.2f}",
                f"{row['cycles_1'] / 1000:.0f}",
                f"{row['row_hits'] / row['requests']:.1%}",
                *(f"{row[name] / 1e6:.1f}" for name in ("memory_pj_16", "codec_pj_16", "net_pj_1", "net_pj_16")),
                f"{row['net_pj_16 45nm-analytic'] / 1e6:.1f}",
                right,
            ]
        )
    header = (
        "codec|bits/value|payload kB|padding|header|rounding|RMW|tables|vs 8 bit, batch 1 / 16|kcycles|row hits|"
        "memory µJ, 16|codec µJ, 16|net µJ, 1|net µJ, 16|net µJ, 16, analytic|"
        f"right of {result['images']}"
    )
    return markdown(header, rows)


def _codecs() -> Tables:
    names = (path.stem.removeprefix("codecs_") for path in sorted(RESULTS.glob("codecs_*.json")))
    return {f"codecs_{name}": functools.partial(codecs, name) for name in names}


def accelerators(network: str) -> str:
    """Every codec of ``network`` on every accelerator: bytes, time and what bounds it, energy."""
    result = next(found for found in load("accelerators")["networks"] if found["network"] == network)
    rows = []
    for name, found in result["accelerators"].items():
        for row in found["codecs"]:
            if row["codec"] in ("raw16", "raw32"):
                continue
            energies = ("memory_pj", "memory_weights_pj", "idle_pj", "codec_pj", "net_pj")
            rows.append(
                [
                    f"`{name}`",
                    f"`{row['codec']}`",
                    f"{row['activations_bytes'] / 1000:.1f}",
                    f"{row['weights_bytes'] / 1000:.1f}",
                    f"{row['cycles'] / 1000:.0f}",
                    " / ".join(f"{100 * share:.0f}" for share in row["bounds"].values()),
                    f"{row['utilization']:.0%}",
                    *(f"{row[energy] / 1e6:.1f}" for energy in energies),
                ]
            )
    header = (
        "accelerator|codec|activations kB|weights kB|kcycles|bound by array / memory / decoder / encoder, %|PE use|"
        "DRAM µJ|of it weights|waiting|codec µJ|net µJ"
    )
    return markdown(header, rows)


def accelerators_time() -> str:
    """Seconds that a network took on each accelerator, all its codecs together."""
    rows = [
        [
            network["network"],
            f"`{name}`",
            str(len(found["codecs"])),
            f"{found['seconds']:.1f}",
            f"{found['processor_seconds']:.1f}",
        ]
        for network in load("accelerators")["networks"]
        for name, found in network["accelerators"].items()
    ]
    return markdown("network|accelerator|codecs|seconds|of the processor", rows)


def _accelerators() -> Tables:
    names = [network["network"] for network in load("accelerators")["networks"]]
    return {f"accelerators:{name}": functools.partial(accelerators, name) for name in names}


TABLES: Tables = {**_codecs(), **_accelerators(), "accelerators_time": accelerators_time}
