"""A learning recipe: everything but network, data, target and seed that decides a plan."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.learn.allocation.partition import Grouping
from actcodec.learn.pca import Basis
from actcodec.learn.search.widths import WidthModel
from actcodec.params import MAX_WIDTH, Order, validation_problem

BasisChoice = Basis | Literal["auto", "best"]
Allocation = (
    Literal["waterfill", "partition", "greedy", "uniform", "equal-variance", "fixed-width", "density", "raw"]
    | Literal["transform-coding", "cat"]
)
Coder = Literal["codec", "zvc", "rle", "ebpc", "huffman"]


_WALK = (
    *("allocation", "widths", "unprojected", "transform", "basis_bits", "sensitivity", "permute", "patch"),
    *("order", "align_bits", "table_batch", "calibration_images", "positions", "greedy_images", "greedy_step"),
)


class LearnRecipe(BaseModel):
    """How a plan is learned; one small TOML in configs/learn.

    Stages, each of them optional but the first: allocation (post-training), BatchNorm re-estimation, block-wise
    reconstruction (``block_epochs``), end-to-end training (``epochs``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(default="waterfill", min_length=1, max_length=100)
    allocation: Allocation = "waterfill"
    """Who chooses kept coefficients and widths (`actcodec.learn.allocation`); the last two make no tables, they are
    measured by `actcodec sweep` (`actcodec.rivals`)."""
    coder: Coder = "codec"
    """What writes the stream: the codec, or a coder of variable length on the same codes (`actcodec sweep`)."""
    widths: Literal["site", "eight"] = "site"
    """Greedy only: one width a site is searched for (P1+q), or all coefficients have 8 bits (P1-pure)."""
    unprojected: bool = True
    """Greedy P1+q only: coding a site channel by channel is on offer beside its projection."""
    transform: BasisChoice = "auto"
    """Basis of projected sites. ``auto`` measures ``identity`` (no site is projected), ``pca``, ``fisher`` on the whole
    network and keeps the one with the least divergence; ``best`` measures every construction site by site."""
    basis_bits: float = Field(default=3.0, gt=0, le=8)
    """Greedy only: bits a value at which ``best`` measures the constructions; a walk must not depend on its target."""
    sensitivity: Literal["fisher", "variance"] = "fisher"
    """What an error counts as: the Fisher information of its site, or the share of the site's variance that it is."""
    permute: bool = False
    """Channels are assigned to blocks by covariance wherever the graph lets the order be folded into the weights."""
    folded: bool = False
    """Sites whose convolution has its activation right behind it are coded in front of that: P becomes a part of the
    convolution (`actcodec.networks.foldable_sites`). Water-filling only, and nothing is trained."""
    patch: int = Field(default=1, ge=1, le=4)
    """Pixels of a side of the patches that are coded as one position (`actcodec.networks.patches`), at the sites whose
    height and width it divides and whose channels, patch² times as many, the codec has room for."""
    density_widths: dict[str, Annotated[int, Field(ge=1, le=MAX_WIDTH)]] = Field(default_factory=dict)
    """Density only: widths by site that training found (`actcodec density`); empty: the rule finds them."""
    order: Order = "position-major"
    align_bits: int | None = Field(default=None, ge=8)
    transaction_bytes: int = Field(default=64, ge=1)
    table_batch: int = Field(default=16, ge=1)
    calibration_images: int = Field(default=512, ge=1)
    positions: int = Field(default=8192, ge=256)
    """Positions of a site that quantizers and decoders are fitted on."""
    selection_images: int = Field(default=1000, ge=1)
    """Selection images that choices (basis, best epoch) are measured on."""
    grouping: Grouping = "automatic"
    """Partition only: how the coefficients of a site are cut into groups of one width each."""
    groups: int = Field(default=4, ge=1)
    """Groups of a site where their number is given (``equal-size``, ``equal-energy``)."""
    group_bits: float = Field(default=0.0, ge=0)
    """β: what a group counts as, in stream bits of an image."""
    cycle_bits: float = Field(default=0.0, ge=0)
    """κ: what a cycle of the codec's MAC array counts as, in stream bits of an image."""
    greedy_images: int = Field(default=250, ge=1)
    """Selection images that a greedy step is measured on."""
    greedy_step: int = Field(default=16, ge=1)
    """A greedy step drops a site's channels divided by this (at least one coefficient)."""
    rounds: int = Field(default=1, ge=1, le=16)
    """Greedy only: the way to the target is cut into so many parts, with the training stages after each."""
    search: WidthModel = "fractional"
    """How the widths of groups are learned in search."""
    search_epochs: int = Field(default=0, ge=0)
    """Epochs of the search for widths, over ``search_images``, between allocation and the stages of fixed widths."""
    search_images: int = Field(default=5000, ge=1)
    search_above: float = Field(default=0.0, ge=0)
    """Bits a value above the target that the search starts from."""
    search_reach: float = Field(default=0.5, gt=0, le=1)
    """Share of the search after which the target is reached."""
    search_rate: float = Field(default=0.02, gt=0)
    """Learning rate of widths, bits (logits) a step at most."""
    search_dynamic: bool = True
    """Windows slide; otherwise a width moves by one bit from its start at most."""
    search_slide: int = Field(default=10, ge=1)
    """Steps between slides."""
    search_coldest: float = Field(default=0.2, gt=0, le=1)
    """Temperature of a window's softmax at the end of the search; it starts at 1."""
    search_projections: bool = True
    """P and R are trained with the widths."""
    search_weights: bool = True
    """So are the network's weights, where the recipe trains weights at all."""
    batchnorm: bool = False
    """Moments of every convolution are put back to what they are without compression."""
    block_epochs: int = Field(default=0, ge=0)
    """Passes over ``block_images`` for every piece of the network."""
    block_images: int = Field(default=1024, ge=1)
    block_rate: float = Field(default=1e-3, gt=0)
    epochs: int = Field(default=0, ge=0)
    images: int = Field(default=5000, ge=1)
    """Training images of an epoch of end-to-end training."""
    batch: int = Field(default=50, ge=1)
    rate: float = Field(default=1e-3, gt=0)
    weights: bool = False
    """The network's weights are trained as well."""
    weight_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of a weight as a share of its tensor's rms."""
    cross_entropy: float = Field(default=0.0, ge=0)
    """α: weight of the cross entropy to the labels."""
    distillation: float = Field(default=1.0, ge=0)
    """δ: weight of the KL divergence to the uncompressed network's output."""
    temperature: float = Field(default=1.0, gt=0)
    """Of the distillation: the higher, the more the small outputs count. A network is sure of the images that it was
    trained on, and at 1 most of them teach nothing."""
    mixup: float = Field(default=0.0, ge=0)
    """Images of a batch are mixed in pairs, λ·a + (1 − λ)·b with λ ~ Beta(mixup, mixup); 0: not at all. What a network
    says of images that it was trained on is too sure to learn much from."""
    reconstruction: float = Field(default=0.0, ge=0)
    """γ: weight of the sites' relative squared error."""
    cat_bits: int = Field(default=6, ge=1, le=8)
    """CAT only: bits of a symbol before the entropy coder."""
    entropy: float = Field(default=0.0, ge=0)
    """CAT only: λ, the price of a bit of entropy a value."""
    keep: Literal["best", "last"] = "best"
    """The epoch that counts: the one with the least divergence on the selection images, or the last one. Where labels
    teach, the network moves away from the uncompressed one on purpose."""
    patience: int = Field(default=0, ge=0)
    """Stop after so many epochs without a new best one; 0: never."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Autocast of convolutions. bfloat16 halves a step on processors that multiply it and takes ten times as long on
    others; the codecs are computed in float32 always."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.rounds > 1 and self.allocation != "greedy":
            raise ValueError(f"rounds = {self.rounds} needs allocation = 'greedy', it is {self.allocation!r}")
        trains = self.batchnorm or self.block_epochs or self.epochs
        if self.folded and (self.allocation != "waterfill" or self.permute or trains):
            raise ValueError("folded = true goes with allocation = 'waterfill', without permute and training stages")
        if self.patch > 1 and (self.permute or self.folded or self.allocation in ("transform-coding", "cat")):
            raise ValueError(
                f"patch = {self.patch} does not go with permute, folded or allocation = {self.allocation!r}"
            )
        if self.search_epochs and self.allocation != "partition":
            raise ValueError(f"search_epochs needs the groups of allocation = 'partition', it is {self.allocation!r}")
        rival = {"transform-coding", "cat"}
        if (self.allocation in rival) != (self.coder == "huffman"):
            raise ValueError(f"coder = {self.coder!r} does not go with allocation = {self.allocation!r}")
        if self.coder in ("zvc", "rle", "ebpc") and self.allocation not in ("raw", "fixed-width"):
            raise ValueError(f"coder = {self.coder!r} needs codes of one width: allocation = 'raw' or 'fixed-width'")
        if self.density_widths and self.allocation != "density":
            raise ValueError(f"density_widths need allocation = 'density', it is {self.allocation!r}")
        if self.patience and self.keep == "last":
            raise ValueError(f"patience = {self.patience} needs keep = 'best': every epoch is a new last one")
        if (self.epochs or self.search_epochs) and not (self.cross_entropy or self.distillation or self.reconstruction):
            raise ValueError(
                "epochs without cross_entropy, distillation or reconstruction: there is nothing to minimise"
            )
        return self

    @property
    def walk(self) -> dict[str, Any]:
        """The fields that a greedy walk depends on: recipes that agree in them share one log, whatever the target."""
        return {name: getattr(self, name) for name in _WALK}

    @property
    def trains_weights(self) -> bool:
        """Whether the network's weights move."""
        return self.weights and (self.epochs > 0 or (self.search_epochs > 0 and self.search_weights))

    @property
    def panel(self) -> str:
        """The panel of results that the recipe belongs to: by how much is trained, never mixed."""
        if self.epochs or self.search_epochs:
            return "fine-tuned"
        return "block-wise" if self.block_epochs else "post-training"


def load_recipe(source: str | Path) -> LearnRecipe:
    """Read a recipe: a TOML file, or the name of one in configs/learn; ``a+b`` is a with the fields of b put over it.

    ``method`` of such a sum is the sum of the names. Raises ActcodecError for a missing file, bad TOML, an unknown
    field, a value out of range, or fields that contradict each other.
    """
    parts = str(source).split("+")
    content: dict[str, Any] = {}
    methods = []
    for part in parts:
        path = find_config("learn", part)
        try:
            read = tomllib.loads(read_bytes(path).decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ActcodecError(path, f"is not TOML: {error}") from error
        methods.append(str(read.pop("method", Path(part).stem)))
        content |= read
    try:
        return LearnRecipe.model_validate({"method": "+".join(methods), **content})
    except ValidationError as error:
        raise ActcodecError(path if len(parts) == 1 else source, validation_problem(error)) from error
