"""Energy of a frame on an accelerator: memory, codec, the network's multiplications, and what is left of the saving.

    encode   Σ sites written: encoding the tensor once
    decode   Σ sites read: decoding the tensor · times that it is read, by positions, tiles that read again included
    loading  table bytes · on-chip memory                     where every layer loads its tables; otherwise nothing
    weights  Σ units: memory energy · weight bytes / bytes    a part of the memory's, by bytes
    network  the network's multiplications · mac
    net      memory energy of raw8 − memory energy of the codec − (encode + decode + loading)

All of one frame, in picojoules. A pass of a codec takes what it takes in the plain traffic model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actcodec.codecs import Activity
from actcodec_sim.accelerator.model import RAW
from actcodec_sim.accelerator.result import AcceleratorReport, AcceleratorRun
from actcodec_sim.traffic.energy import Balances, CodecEnergy, EnergyModel


@dataclass(frozen=True)
class SiteWork:
    """Work of encoding a whole site, and of decoding it once."""

    encode: Activity
    decode: Activity


@dataclass(frozen=True)
class AcceleratorBalance:
    """One codec's frame: ``weights_pj`` is a part of ``memory_pj``, ``saved_pj`` the memory's against raw bytes."""

    codec: str
    memory_pj: float
    weights_pj: float
    saved_pj: float
    encode: CodecEnergy
    decode: CodecEnergy
    loading: float

    @property
    def codec_pj(self) -> float:
        """Energy of the codec."""
        return self.encode.total + self.decode.total + self.loading

    @property
    def net_pj(self) -> float:
        """What is left of the saving: negative where the codec takes more than it saves."""
        return self.saved_pj - self.codec_pj

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name, in picojoules."""
        return {
            "codec": self.codec,
            "memory_pj": self.memory_pj,
            "memory_weights_pj": self.weights_pj,
            "memory_saved_pj": self.saved_pj,
            "encode_pj": {**asdict(self.encode), "total": self.encode.total},
            "decode_pj": {**asdict(self.decode), "total": self.decode.total},
            "table_loading_pj": self.loading,
            "codec_pj": self.codec_pj,
            "net_pj": self.net_pj,
        }


AcceleratorEnergy = Balances[AcceleratorBalance]
"""Codecs on an accelerator side by side."""


def accelerator_energy(
    report: AcceleratorReport, work: Mapping[str, Mapping[str, SiteWork]], model: EnergyModel
) -> AcceleratorEnergy:
    """Balance of every run of ``report``; ``work`` by codec and site, nothing where a site is stored raw."""
    raw = report.run(RAW)
    return AcceleratorEnergy(
        model,
        raw.macs * model.mac.value,
        tuple(_balance(run, work.get(run.codec, {}), model, raw.energy_pj) for run in report.runs),
    )


def _balance(
    run: AcceleratorRun, work: Mapping[str, SiteWork], model: EnergyModel, reference: float
) -> AcceleratorBalance:
    encode = decode = CodecEnergy()
    for unit in run.units:
        for site in unit.site_writes:
            if site in work:
                encode = encode.plus(model.parts(work[site].encode))
        for site, times in unit.site_reads.items():
            if site in work:
                decode = decode.plus(model.parts(work[site].decode), times)
    weights = (unit.energy_pj * unit.bytes.weights / unit.bytes.total for unit in run.units if unit.bytes.total)
    return AcceleratorBalance(
        codec=run.codec,
        memory_pj=run.energy_pj,
        weights_pj=math.fsum(weights),
        saved_pj=reference - run.energy_pj,
        encode=encode,
        decode=decode,
        loading=run.bytes.tables * model.memory.value,
    )
