"""The list of proofs: every bench in small stand-ins for a configuration and in the shipped ones."""

from __future__ import annotations

from functools import partial

from actcodec.params import MAX_WIDTH, CodecParams, load_params
from actcodec_rtl.formal.mutants import PACKER, PLACING, SKID, UNPACKER
from actcodec_rtl.formal.packer import PackerBench
from actcodec_rtl.formal.placing import PlacingBench
from actcodec_rtl.formal.proof import Proof
from actcodec_rtl.formal.roundtrip import RoundTripBench
from actcodec_rtl.formal.skid import SkidBench
from actcodec_rtl.formal.unpacker import UnpackerBench

SHIPPED = ("tiny", "default", "wide")


def small_params(word_bits: int, codes: int) -> CodecParams:
    """Parameters of a bus narrower than any that `CodecParams` admits, for blocks that only look at these two."""
    return CodecParams.model_construct(word_bits=word_bits, codes=codes, lanes=codes)


def all_proofs() -> list[Proof]:
    """Every proof, the small ones of a bench first."""
    sizes = [("8-bit word", small_params(8, 1)), ("16-bit word", small_params(16, 1))]
    sizes += [(name, load_params(name)) for name in SHIPPED]
    proofs = [
        Proof("skid", f"{bits} bits", f"payload of {bits} bits", partial(SkidBench, bits), SKID)
        for bits in (8, *(load_params(name).word_bits + 1 for name in SHIPPED[1:]))
    ]
    for bench, make, mutants in (
        ("packer", PackerBench, PACKER),
        ("unpacker", UnpackerBench, UNPACKER),
        ("round trip", RoundTripBench, (*PACKER[:2], SKID[0], *UNPACKER[:2])),
    ):
        for size, params in sizes:
            configuration = f"{params.word_bits}-bit words, {MAX_WIDTH} bits × {params.codes_per_cycle} a cycle"
            proofs.append(Proof(bench, size, configuration, partial(make, params), mutants))
    for codes in (2, 4, 8, 16):
        bits = codes * MAX_WIDTH
        proofs.append(Proof("placing", f"{codes} codes", f"into {bits} bits", partial(PlacingBench, codes), PLACING))
    return proofs
