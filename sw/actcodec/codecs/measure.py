"""Running a network through every codec on the same images: the exact sizes of real streams, site by site.

    raw8, raw16, raw32     values of that many bits, packed
    plain4                 4-bit values, packed; a step a channel
    zvc, rle, ebpc         the lossless coder on the 8-bit values, C×H×W
    lsq4-zvc, lsq4-ebpc    the lossless coder on the 4-bit values
    transform-coding       dense PCA, a step a site, a Huffman code, at the bits a value of the tables
    cat                    clips at mean ± 3σ, a Huffman code: CAT's start, nothing trained
    actcodec               the tables, through the golden model

All but the last are calibrated as in the post-training panel of a sweep. A stream of varying length has a header of 4
bytes, its length, and fills its last byte; EBPC's two streams have one each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.activations import SiteTap, network_of_tables, site_taps
from actcodec.codecs.rates import RATES
from actcodec.codecs.store import IDLE, CodecSizes, CodecStore, SiteShape, StoredSize
from actcodec.codecs.work import Work
from actcodec.data import Dataset, split_training
from actcodec.errors import ActcodecError
from actcodec.evaluate import float_logits
from actcodec.export import integer_tables
from actcodec.learn import LearnRecipe, learn, load_recipe
from actcodec.networks import Network, SitedNetwork, SiteSpec, network_macs, sited_network
from actcodec.params import CodecParams
from actcodec.rivals import transform_coding
from actcodec.rivals.cat import cat_layers
from actcodec.rivals.huffman_site import HuffmanSite, count_symbols
from actcodec.rivals.lossless import LosslessOnCodes
from actcodec.rivals.measure import ImageStreams, Measurement, SiteCoder, StreamCounter, measure
from actcodec.tables import Tables, digest_of
from actcodec.tables.cycles import decode_cycles, encode_cycles

HEADER_BYTES = 4
"""Length of a stream of varying length, which whoever reads it from memory has to know."""
OURS = "actcodec"
NARROW_BITS = 4
"""Width of the plain codec and of what the lossless coders get behind it."""
_SEED = 0

Report = Callable[[str], None]


class _GoldenCoder(StreamCounter):
    """A site through the golden model; the sizes are those of its streams."""

    def __init__(self, tap: SiteTap) -> None:
        super().__init__()
        self._tap = tap

    def __call__(self, activation: Tensor) -> Tensor:
        decoded = self._tap(activation)
        assert self._tap.streams is not None, "the tap is coded"
        count, size = self._tap.streams.shape
        self.images += [ImageStreams((8 * size,))] * count
        return decoded


@dataclass(frozen=True, eq=False)
class Ours:
    """Tables, and the network that they belong to where its weights were trained with them.

    ``name`` is what their codec is called: several sets of tables can stand side by side in a store, of which the one
    called ``actcodec`` is the store's own.
    """

    tables: Tables
    network: Network
    name: str = OURS

    def __post_init__(self) -> None:
        if self.name != OURS and self.name in CODECS:
            raise ActcodecError("codecs", f"{self.name!r} is the name of another codec; tables need one of their own")


def measure_codecs(
    network: Network,
    train: Dataset,
    images: Dataset,
    *,
    params: CodecParams,
    ours: Ours | None = None,
    target_bits: float | None = None,
    names: Iterable[str] | None = None,
    calibration_images: int | None = None,
    report: Report | None = None,
) -> CodecStore:
    """Return what every codec of ``names`` (None: all) makes of ``images``.

    ``train`` is what the rivals are calibrated on, ``params`` bound the sites as those of the tables do.
    ``target_bits`` of transform coding: where None, the stream bits a value of the tables, or 4 without any.
    ``calibration_images``: where None, as many as the recipes say.
    Raises ActcodecError for an unknown codec, ``actcodec`` without tables, data or tables of another network.
    """
    measuring = _Measuring(network, train, images, params, ours, target_bits, calibration_images)
    known = {name: run for name, run in CODECS.items() if name != OURS}
    if ours is not None:
        known[ours.name] = _Measuring.ours
    chosen = list(known if names is None else dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            problem = "needs tables" if name in CODECS else f"is unknown; known: {', '.join({**CODECS, **known})}"
            raise ActcodecError("codecs", f"{name!r} {problem}")
    measured = []
    for name in chosen:
        if report is not None:
            report(f"{network.name}: {name}")
        measured.append(known[name](measuring))
    return CodecStore(
        network=network.name,
        dataset=network.dataset,
        images=len(images),
        correct=int((measuring.expected.argmax(1) == torch.from_numpy(images.labels)).sum()),
        network_macs=network_macs(network.model, network.input_shape),
        checkpoint_sha256=network.checkpoint_sha256,
        tables_digest=digest_of(ours.tables) if ours is not None and ours.name == OURS else None,
        sites=tuple(_shape(site) for site in measuring.plain.sites),
        codecs=tuple(measured),
    )


class _Measuring:
    """One network with its images; what several codecs need is made once."""

    def __init__(
        self,
        network: Network,
        train: Dataset,
        images: Dataset,
        params: CodecParams,
        ours: Ours | None,
        target_bits: float | None,
        calibration_images: int | None,
    ) -> None:
        for data in (train, images):
            if not len(data) or data.name != network.dataset:
                problem = f"{len(data)} images of {data.name!r}; {network.name} needs {network.dataset!r}"
                raise ActcodecError("dataset", problem)
        self._network, self._train, self._images, self._params, self._ours = network, train, images, params, ours
        rate = 4.0 if ours is None else ours.tables.bpv_stream
        self._target = rate if target_bits is None else target_bits
        self._calibration_images = calibration_images
        self.plain = sited_network(network)
        self.expected = float_logits(network, images)
        self._kept: dict[tuple[str, str], tuple[Sequence[LosslessOnCodes], Measurement]] = {}

    def raw(self, bits: int) -> CodecSizes:
        """Values of ``bits`` bits; only those of 8 bits are what the network was run with."""
        idle = {"encode": IDLE, "decode": IDLE}
        sites = tuple(
            _fixed(bits * site.values, Work(site.values, RATES["wiring"])).model_copy(update=idle)
            for site in self.plain.sites
        )
        if bits != 8:
            return CodecSizes(name=f"raw{bits}", method="values of that width", sites=sites)
        _, result = self._lossless("raw8", "zvc")
        return _codec("raw8", "values of 8 bits, one range a site", sites, result)

    def narrow(self) -> CodecSizes:
        """Every channel at 4 bits."""
        _, result = self._lossless("lsq", "zvc")
        tables = self._narrow
        sites = tuple(
            _fixed(NARROW_BITS * table.info.values, Work.of_table(table, RATES["wiring"])) for table in tables.sites
        )
        return _codec(f"plain{NARROW_BITS}", "one width, a step a channel", sites, result)

    def lossless(self, recipe: str, coder: str) -> CodecSizes:
        """A lossless coder on what `actcodec learn` with ``recipe`` stores."""
        coders, result = self._lossless(recipe, coder)
        tables = self._wide if recipe == "raw8" else self._narrow
        rate = RATES[coder]
        sites = tuple(
            _varying(found, Work.of_table(table, rate)) for found, table in zip(coders, tables.sites, strict=True)
        )
        if recipe == "raw8":
            return _codec(coder, "lossless, on the 8-bit values", sites, result)
        return _codec(f"lsq{NARROW_BITS}-{coder}", "lossless, on the values of plain4", sites, result)

    def transform_coding(self) -> CodecSizes:
        """Dense PCA and Huffman codes at the target."""
        calibration = self._calibration(self._recipe("transform-coding"))
        sensitivity = transform_coding.fisher_sensitivity(self._network, self.plain, calibration, _SEED)
        quantizers, counts = transform_coding.fit(
            self._network, self.plain, sensitivity, calibration, self._target, progress=False
        )
        coders = [HuffmanSite(q, count) for q, count in zip(quantizers, counts, strict=True)]
        work = [
            Work(
                site.values,
                RATES["huffman"],
                -(-(transform_coding.transform_bits(site) + coder.table_bits) // 8),
                *(transform_coding.multiplications(site),) * 2,
                symbols=site.values,
            )
            for site, coder in zip(self.plain.sites, coders, strict=True)
        ]
        method = f"post-training, {self._target:.3f} bits a value on the calibration images"
        return self._huffman("transform-coding", method, coders, work)

    def cat(self) -> CodecSizes:
        """CAT's quantizer before any training, with Huffman codes."""
        recipe = self._recipe("cat")
        calibration = self._calibration(recipe)
        layers = [
            layer.eval()
            for layer in cat_layers(self._network, self.plain, calibration, recipe.cat_bits, progress=False)
        ]
        counts = count_symbols(self._network, self.plain, layers, calibration, progress=False)
        coders = [HuffmanSite(layer, count) for layer, count in zip(layers, counts, strict=True)]
        work = [
            Work(site.values, RATES["huffman"], -(-coder.table_bits // 8), *(site.values,) * 2, symbols=site.values)
            for site, coder in zip(self.plain.sites, coders, strict=True)
        ]
        method = f"clips at their start, mean ± 3σ, {recipe.cat_bits} bits before the entropy coder; nothing trained"
        return self._huffman("cat", method, coders, work)

    def ours(self) -> CodecSizes:
        """The tables' streams by the golden model."""
        assert self._ours is not None, "asked for with tables only"
        tables, network = self._ours.tables, self._ours.network
        if any(site.info.transform == "folded" for site in tables.sites):
            raise ActcodecError("tables", "folded sites have no stored 8-bit values to compare with")
        sited = network_of_tables(network, tables)
        coders = [_GoldenCoder(tap) for tap in site_taps(tables, network, sited, coded=True)]
        result = self._measured(coders, sited)
        sites = []
        for coder, table in zip(coders, tables.sites, strict=True):
            size = table.sizes(1)
            made = {sum(image.bits) for image in coder.images}
            if made != {8 * size.stream_bytes}:
                problem = f"the golden streams have {sorted(made)} bits, the tables say {8 * size.stream_bytes}"
                raise ActcodecError(f"site {table.info.name}", problem)
            fixed = _fixed(size.payload_bits, Work.of_table(table, RATES["wiring"]), size.stream_bytes)
            cycles = {"encode_cycles": encode_cycles(table), "decode_cycles": decode_cycles(table)}
            sites.append(fixed.model_copy(update=cycles))
        method = f"{tables.provenance.method}, target {tables.provenance.target_bits:g} bits a value"
        return _codec(self._ours.name, method, sites, result)

    @cached_property
    def _wide(self) -> Tables:
        return self._learnt("raw8", 8.0)

    @cached_property
    def _narrow(self) -> Tables:
        return self._learnt("lsq", float(NARROW_BITS))

    def _recipe(self, name: str) -> LearnRecipe:
        recipe, count = load_recipe(name), self._calibration_images
        return recipe if count is None else recipe.model_copy(update={"calibration_images": count})

    def _calibration(self, recipe: LearnRecipe) -> NDArray[np.uint8]:
        return split_training(self._train).pool.images[: recipe.calibration_images]

    def _learnt(self, recipe: str, bits: float) -> Tables:
        plan = learn(
            self._network, self._train, bits, _SEED, recipe=self._recipe(recipe), params=self._params, progress=False
        )
        return integer_tables(plan, max_mac_share=math.inf)

    def _lossless(self, recipe: str, coder: str) -> tuple[Sequence[LosslessOnCodes], Measurement]:
        if (recipe, coder) not in self._kept:
            tables = self._wide if recipe == "raw8" else self._narrow
            coders = [LosslessOnCodes(site, coder) for site in tables.sites]
            self._kept[recipe, coder] = coders, self._measured(coders, self.plain)
        return self._kept[recipe, coder]

    def _huffman(self, name: str, method: str, coders: Sequence[HuffmanSite], work: Sequence[Work]) -> CodecSizes:
        result = self._measured(coders, self.plain)
        sites = tuple(_varying(coder, cost) for coder, cost in zip(coders, work, strict=True))
        return _codec(name, method, sites, result)

    def _measured(self, coders: Sequence[SiteCoder], sited: SitedNetwork) -> Measurement:
        return measure(self._network, self.expected, sited, coders, self._images, progress=False)


CODECS: dict[str, Callable[[_Measuring], CodecSizes]] = {
    "raw8": lambda run: run.raw(8),
    "raw16": lambda run: run.raw(16),
    "raw32": lambda run: run.raw(32),
    "plain4": _Measuring.narrow,
    "zvc": lambda run: run.lossless("raw8", "zvc"),
    "rle": lambda run: run.lossless("raw8", "rle"),
    "ebpc": lambda run: run.lossless("raw8", "ebpc"),
    "lsq4-zvc": lambda run: run.lossless("lsq", "zvc"),
    "lsq4-ebpc": lambda run: run.lossless("lsq", "ebpc"),
    "transform-coding": _Measuring.transform_coding,
    "cat": _Measuring.cat,
    OURS: _Measuring.ours,
}
"""Every codec by name, in the order in which it is reported."""


def _shape(site: SiteSpec) -> SiteShape:
    return SiteShape(
        name=site.name,
        channels=site.channels,
        height=site.height,
        width=site.width,
        readers=site.readers,
        macs=site.macs,
    )


def _codec(name: str, method: str, sites: Sequence[StoredSize], result: Measurement) -> CodecSizes:
    return CodecSizes(name=name, method=method, sites=tuple(sites), correct=result.correct, agreement=result.agreement)


def _fixed(payload_bits: int, work: Work, stream_bytes: int | None = None) -> StoredSize:
    """A stream of the same size for every image; ``stream_bytes`` None: packed, no padding but in the last byte."""
    size = -(-payload_bits // 8) if stream_bytes is None else stream_bytes
    encode, decode = work.activities(payload_bits)
    return StoredSize(
        payload_bits=payload_bits,
        payload_bits_range=(payload_bits, payload_bits),
        stream_bytes=size,
        stream_bytes_range=(size, size),
        table_bytes=work.table_bytes,
        encode_cycles=work.rate.cycles(work.values),
        decode_cycles=work.rate.cycles(work.values),
        encode=encode,
        decode=decode,
    )


def _varying(coder: StreamCounter, work: Work) -> StoredSize:
    """Means over the images, rounded up; a header and a last byte a stream."""
    payloads = [sum(image.bits) + image.uncounted for image in coder.images]
    headers = {HEADER_BYTES * len(image.bits) for image in coder.images}
    sizes = [HEADER_BYTES * len(image.bits) + _bytes(image) for image in coder.images]
    payload = -(-sum(payloads) // len(payloads))
    encode, decode = work.activities(payload)
    return StoredSize(
        payload_bits=payload,
        payload_bits_range=(min(payloads), max(payloads)),
        stream_bytes=-(-sum(sizes) // len(sizes)),
        stream_bytes_range=(min(sizes), max(sizes)),
        header_bytes=max(headers),
        table_bytes=work.table_bytes,
        encode_cycles=work.rate.cycles(work.values),
        decode_cycles=work.rate.cycles(work.values),
        encode=encode,
        decode=decode,
    )


def _bytes(image: ImageStreams) -> int:
    """Bytes of an image's streams, each of which fills its last one; what a coder leaves out goes behind the last."""
    *others, last = image.bits
    return sum(-(-bits // 8) for bits in (*others, last + image.uncounted))
