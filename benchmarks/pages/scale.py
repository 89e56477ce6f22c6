"""Networks of ImageNet's size, memory, growth and workers."""

from __future__ import annotations

from actcodec.tables import load_tables
from actcodec.tables.cycles import decode_cycles, encode_cycles
from pages.common import RESULTS, Tables, load, markdown


def imagenet_cost() -> str:
    """Multiplications, values and hours of three networks on ImageNet."""
    rows = [
        [
            name,
            str(found["sites"]),
            f"{found['macs'] / 1e9:.2f} G",
            f"{found['values'] / 1e6:.2f} M",
            f"{found['infer_seconds']:.2f} s",
            f"{found['calibrate_seconds']:.2f} s",
            *(f"{found['hours'][stage]:.1f}" for stage in ("learning", "epochs", "evaluation")),
        ]
        for name, found in load("imagenet_cost")["networks"].items()
    ]
    header = "network|sites|multiplications|stored values|infer, an image|calibrate, an image"
    return markdown(f"{header}|learning, h|training, h|evaluation, h", rows)


def imagenet_folds() -> str:
    """Agreement with the uncompressed network by cross-validation, a row a method and target."""
    rows = [
        [
            f"`{row['method']}`",
            f"{row['bpv_stream']:.2f}",
            f"{8 / row['bpv_stream']:.2f}×",
            f"{row['bpv_net']['1']:.2f} / {row['bpv_net']['16']:.2f}",
            f"**{row['agreement'] / row['images']:.1%}**, {row['agreement']} of {row['images']}",
            " – ".join(f"{bound:.1%}" for bound in row["interval"]),
            "∞" if row["logit_sqnr"] is None else f"{row['logit_sqnr']:.1f} dB",
            f"{row['codec_mac_share']:.1%}",
        ]
        for row in load("imagenet_folds")["rows"]
    ]
    header = "method|bpv_stream|vs 8 bit|bpv_net 1 / 16|agreement|95 % interval|SQNR of logits|codec MACs"
    return markdown(header, rows)


def imagenet_layers() -> str:
    """MobileNetV2's stored tensors at 224×224, one a row: what the codec makes of each, and where the RTL ran on it."""
    case = next(found for found in load("accelerators")["networks"] if found["network"] == "imagenet-mobilenetv2")
    tables = load_tables(RESULTS / case["tables"])
    simulated = {site["name"] for site in load("cosim/mobilenetv2-verilator")["sites"] if site["agrees"]}
    rows = []
    for site in tables.sites:
        stored = site.sizes(tables.transaction_bytes).stream_bytes
        rows.append(
            [
                f"`{site.info.name}`",
                f"{site.info.channels}×{site.info.height}×{site.info.width}",
                site.info.transform,
                f"{int((site.arrays.width > 0).sum())} of {site.info.channels}",
                f"{8 * stored / site.info.values:.2f}",
                f"{stored:,}",
                f"{encode_cycles(site):,} / {decode_cycles(site):,}",
                "equal" if site.info.name in simulated else "",
            ]
        )
    header = "site|C×H×W|transform|coefficients kept|bits a value|stream bytes|cycles, encode / decode|co-simulated"
    return markdown(header, rows)


def memory() -> str:
    """Peaks of resident memory, a column a phase."""
    peaks = load("memory")["peak_mib"]
    return markdown("phase|" + "|".join(peaks), [["peak, MiB", *(f"{peak:,}" for peak in peaks.values())]])


def scaling() -> str:
    """Exponents of every stage of learning and evaluation by what grows, with least and largest times."""
    growth = load("scaling")["growth"]["axes"]
    rows = []
    for stage in next(iter(growth.values()))["stages"]:
        row = [stage]
        for axis in growth.values():
            timed = axis["stages"][stage]
            first, last = timed["least_seconds"][0], timed["least_seconds"][-1]
            row += [f"**{timed['exponent']:.2f}**", f"{first:.2f} → {last:.2f}"]
        rows.append(row)
    columns = [
        f"{name} {axis['sizes'][0][name]} → {axis['sizes'][-1][name]}: exponent|seconds"
        for name, axis in growth.items()
    ]
    return markdown("|".join(["stage", *columns]), rows)


def scaling_workers() -> str:
    """The same tasks in one process and on clusters of this machine."""
    found = load("scaling")["workers"]
    seconds, speed = found["least_seconds"], found["speed_to_this_process"]
    rows = [
        [place, f"{seconds[place]:.2f}", f"**{speed.get(place, 1):.2f}×**", f"{seconds[f'{place}, empty tasks']:.3f}"]
        for place in ("this process", *speed)
    ]
    return markdown(f"{found['tasks']} tasks on|seconds|speed|seconds, tasks without work", rows)


TABLES: Tables = {
    "imagenet_cost": imagenet_cost,
    "imagenet_folds": imagenet_folds,
    "imagenet_layers": imagenet_layers,
    "memory": memory,
    "scaling": scaling,
    "scaling_workers": scaling_workers,
}
