"""Plan → integers of format v1.

    P_int = round(P·2^s_k), bias_int = round(bias·2^s_k)                s_k the largest that keeps |P_int| ≤ 127
    R_int = round(R·2^(t − e_k)), bias'_int = round(bias'·2^t)          e_k the least that keeps |R_int| ≤ 127

s_k and t are then lowered until the exact worst case over all inputs fits the accumulator. Of a folded site the rows of
the composed convolution (`actcodec.export.composed`) take the place of P's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actcodec import __version__
from actcodec.errors import ActcodecError
from actcodec.export.composed import ComposedRows, compose
from actcodec.export.rounding import TOP, whole
from actcodec.files import WEIGHTS
from actcodec.learn.draft import folded_build
from actcodec.learn.plan import Plan, SitePlan, plan_sha256
from actcodec.networks import Network
from actcodec.params import MAX_LEFT_SHIFT, MAX_SHIFT, CodecParams
from actcodec.tables import Provenance, SiteArrays, SiteTable, Tables, save_tables
from actcodec.tables.accumulators import decode_accumulator_range, encode_accumulator_range
from actcodec.tables.convolutions import CONVOLUTIONS, Convolution, pack_convolutions
from actcodec.tables.model import Residency

MAX_MAC_SHARE = 0.15

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_INT32 = np.iinfo(np.int32).max


def export_tables(
    plan: Plan,
    directory: Path,
    *,
    max_mac_share: float = MAX_MAC_SHARE,
    residency: Residency = "resident",
) -> Tables:
    """Write the integer tables of ``plan`` into ``directory``, all or nothing, and return them.

    Weights that were trained with the plan are written beside them (``weights.safetensors``).

    Raises ActcodecError as ``integer_tables`` does; nothing is written then.
    """
    tables = integer_tables(plan, max_mac_share=max_mac_share, residency=residency)
    beside = {} if plan.weights is None else {WEIGHTS: plan.weights}
    save_tables(tables, directory, beside)
    return tables


def export_folded(
    plan: Plan,
    network: Network,
    directory: Path,
    *,
    max_mac_share: float = MAX_MAC_SHARE,
    residency: Residency = "resident",
) -> tuple[Tables, Tables]:
    """Write the tables of a plan with folded sites: of the others into ``directory``, of these `beside` it.

    The folded sites' tables are for a build of their own (`folded_build`); the convolutions that compute their
    coefficients lie beside them (`actcodec.tables.convolutions`). Each directory is written all or nothing. Returns
    both tables, the folded ones last.

    Raises ActcodecError where the plan is another network's, has no folded site or no other one, and as
    `integer_tables` does.
    """
    if plan.provenance.checkpoint_sha256 != network.checkpoint_sha256:
        raise ActcodecError("plan", f"was made for another checkpoint than {network.name}'s")
    folded = [site for site in plan.sites if site.info.transform == "folded"]
    others = [site for site in plan.sites if site.info.transform != "folded"]
    if not folded or not others:
        raise ActcodecError("plan", f"has {len(folded)} folded sites and {len(others)} others; both kinds are needed")
    composed = compose(plan, network)
    build = folded_build(plan.params)
    fitted = [_folded_site(site, composed[site.info.name], build) for site in folded]
    plain = tuple(_site(site, plan.params) for site in others)
    tables = tuple(table for table, _ in fitted)
    share = _mac_share(plan, (*plain, *tables), max_mac_share)
    content, digest = pack_convolutions([convolution for _, convolution in fitted])
    provenance = _provenance(plan, share)
    found = (
        Tables(plan.params, plain, provenance, residency, plan.transaction_bytes),
        Tables(
            build,
            tables,
            provenance.model_copy(update={"convolutions_sha256": digest}),
            residency,
            plan.transaction_bytes,
        ),
    )
    save_tables(found[0], directory)
    save_tables(found[1], beside(directory), {CONVOLUTIONS: content})
    return found


def beside(directory: Path) -> Path:
    """Where the tables of the folded sites are written that belong to those in ``directory``."""
    return directory.with_name(f"{directory.name}-folded")


def integer_tables(plan: Plan, *, max_mac_share: float = MAX_MAC_SHARE, residency: Residency = "resident") -> Tables:
    """Return the integer tables of ``plan``.

    Raises ActcodecError where a site cannot be held in the codec's integers, or encoding once and decoding for
    every reader takes more than ``max_mac_share`` of the network's multiplications, and for a plan with folded sites.
    """
    for site in plan.sites:
        if site.info.transform == "folded":
            raise ActcodecError(f"site {site.info.name}", "is folded; its tables need the network's convolution")
    sites = tuple(_site(site, plan.params) for site in plan.sites)
    provenance = _provenance(plan, _mac_share(plan, sites, max_mac_share))
    return Tables(plan.params, sites, provenance, residency, plan.transaction_bytes)


def _mac_share(plan: Plan, sites: Sequence[SiteTable], most: float) -> float:
    """Return the codec's share of the network's multiplications; ActcodecError where it is more than ``most``."""
    share = sum(site.macs for site in sites) / max(plan.provenance.network_macs, 1)
    if share > most:
        problem = f"the codec takes {share:.1%} of the network's multiplications, more than {most:.1%}"
        raise ActcodecError("max_mac_share", problem)
    return share


def _provenance(plan: Plan, share: float) -> Provenance:
    p = plan.provenance
    return Provenance(
        network=p.network,
        dataset=p.dataset,
        method=p.method,
        seed=p.seed,
        target_bits=p.target_bits,
        table_batch=p.table_batch,
        checkpoint_sha256=p.checkpoint_sha256,
        plan_sha256=plan_sha256(plan),
        network_macs=p.network_macs,
        codec_mac_share=share,
        actcodec_version=__version__,
    )


def _folded_site(plan: SitePlan, composed: ComposedRows, params: CodecParams) -> tuple[SiteTable, Convolution]:
    """The tables of a folded site, and the convolution whose rows they are for."""
    table = _site(plan, params, composed)
    return table, composed.convolution(plan.info.name, table.arrays.shift.astype(np.int64))


def _site(plan: SitePlan, params: CodecParams, composed: ComposedRows | None = None) -> SiteTable:
    """Search the largest shifts that fit, on a copy of the codec with the widest accumulators."""
    wide = params.model_copy(update={"acc_bits": 32})
    limit = 1 << (params.acc_bits - 1)
    if plan.info.transform == "bypass":
        shift, output_shift = np.zeros(len(plan.arrays.width), np.int64), 0
    else:
        rows, bias = (plan.arrays.P, plan.arrays.bias) if composed is None else (composed.rows, composed.bias)
        shift, output_shift = _encoder_shifts(rows, bias, limit), _output_shift(plan, limit)
    while True:
        table = _integers(plan, shift, output_shift, wide, composed)
        outside = _outside(encode_accumulator_range(table), limit)
        out_outside = _outside(decode_accumulator_range(table), limit)
        if not (outside.any() or out_outside.any()):
            return _integers(plan, shift, output_shift, params, composed)
        if (outside & (shift == 0)).any() or (out_outside.any() and output_shift == 0):
            problem = f"its numbers do not fit acc_bits = {params.acc_bits} at any shift"
            raise ActcodecError(f"site {plan.info.name}", problem)
        shift = shift - outside
        output_shift -= int(out_outside.any())


def _outside(reach: tuple[IntArray, IntArray], limit: int) -> NDArray[np.bool_]:
    low, high = reach
    return (low < -limit) | (high > limit - 1)


def _encoder_shifts(rows: FloatArray, bias: FloatArray, limit: int) -> IntArray:
    """Return the largest s_k for which the row fits int8 and the bias alone fits the accumulator."""
    return np.minimum(_room(np.abs(rows).max(1, initial=0), TOP), _room(np.abs(bias), limit - 1))


def _output_shift(plan: SitePlan, limit: int) -> int:
    """Return the largest t at which every column of R fits int8 after its left shift."""
    columns = _column_peaks(plan)
    rooms = _room(columns, TOP << MAX_LEFT_SHIFT)
    return int(min(rooms.min(initial=MAX_SHIFT), _room(np.abs(plan.arrays.bias_out), limit - 1).min()))


def _room(value: FloatArray, top: int) -> IntArray:
    """Return the largest shift s in 0…31 with round(value·2^s) ≤ top (0 where there is none)."""
    shifts = np.arange(MAX_SHIFT + 1)
    fits = np.rint(np.abs(value)[..., None] * 2.0**shifts) <= top
    return np.asarray(np.maximum(fits.sum(-1) - 1, 0), np.int64)


def _column_peaks(plan: SitePlan) -> FloatArray:
    """Return max_c |R[c, k]| of every coefficient (K,)."""
    peaks = np.zeros(len(plan.arrays.width))
    for block in plan.info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        peaks[k] = np.abs(plan.arrays.R[c, : k.stop - k.start]).max(0, initial=0)
    return peaks


def _integers(
    plan: SitePlan, shift: IntArray, output_shift: int, params: CodecParams, composed: ComposedRows | None
) -> SiteTable:
    arrays, info = plan.arrays, plan.info
    if composed is None:
        P = whole(info.name, "P", arrays.P * 2.0 ** shift[:, None], TOP).astype(np.int8)
        bias, acc_range = arrays.bias, None
    else:
        P, bias = np.zeros(arrays.P.shape, np.int8), composed.bias
        acc_range = composed.convolution(info.name, shift).acc_range(composed.low, composed.high)
    peaks = _column_peaks(plan) * 2.0**output_shift
    left = np.zeros(len(peaks), np.int64)
    for _ in range(MAX_LEFT_SHIFT):
        left += np.rint(peaks / 2.0**left) > TOP
    R = np.zeros_like(arrays.R)
    for block in info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        size = k.stop - k.start
        R[c, :size] = arrays.R[c, :size] * 2.0 ** (output_shift - left[k])
    return SiteTable(
        info.model_copy(update={"output_shift": output_shift}),
        SiteArrays(
            P=P,
            R=whole(info.name, "R", R, TOP).astype(np.int8),
            bias=whole(info.name, "bias", bias * 2.0**shift, _INT32).astype(np.int32),
            shift=shift.astype(np.uint8),
            width=arrays.width,
            left_shift=left.astype(np.uint8),
            group=arrays.group,
            bias_out=whole(info.name, "bias_out", arrays.bias_out * 2.0**output_shift, _INT32).astype(np.int32),
            channel_order=arrays.channel_order,
            acc_range=acc_range,
        ),
        params,
    )
