"""Block transforms: principal components, plain and weighted by what the network feels, and a fixed one.

    pca             S = U Λ Uᵀ                      P = Uᵀ,        R = U
    pca-uncentred   S + μμᵀ = U Λ Uᵀ                P = Uᵀ,        R = U
    fisher          G^½ S G^½ = U Λ Uᵀ              P = Uᵀ G^½,    R = G^−½ U
    gradient        the same with diag(G) for G
    dct             DCT-II over the channels        P orthonormal, R = Pᵀ
    identity                                        P = R = I

S is the covariance of a block, μ its mean from the zero point, G its Fisher information (`calibrate`). The weighted
ones are the Karhunen–Loève transform under the norm eᵀGe: their coefficients are uncorrelated and an error in any of
them costs the same. The cosine transform is what P3 names beside PCA; over channels, which have no natural order, it is
a baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.calibrate import SiteStatistics

FloatArray = NDArray[np.float64]
Basis = Literal["pca", "pca-uncentred", "gradient", "fisher", "dct", "identity"]

_RIDGE = 0.1
"""Share of G's mean eigenvalue that is added to all: directions that looked harmless are not free to lose."""


@dataclass(frozen=True, eq=False)
class BlockTransform:
    """z = P·(x − μ), x ≈ μ + R·z of one block: P (c, c), R (c, c), coefficients by falling variance.

    ``sensitivity`` (c,) is s_k = R_kᵀ G R_k: the cost of a unit squared error in coefficient k.
    """

    P: FloatArray
    R: FloatArray
    sensitivity: FloatArray


def block_transforms(statistics: SiteStatistics, basis: Basis) -> tuple[BlockTransform, ...]:
    """Return the transform of every block of a site in the given basis."""
    offset = statistics.mean - statistics.range.zero
    return tuple(
        _transform(S, offset[part], ridged(G), basis)
        for S, part, G in zip(statistics.covariance, statistics.blocks, statistics.fisher, strict=True)
    )


def _transform(S: FloatArray, mean: FloatArray, G: FloatArray, basis: Basis) -> BlockTransform:
    if basis == "identity":
        P = R = np.eye(len(S))
    elif basis == "dct":
        P = cosine_transform(len(S))
        R = P.T
    elif basis in ("pca", "pca-uncentred"):
        R = _eigenvectors(S if basis == "pca" else S + np.outer(mean, mean))
        P = R.T
    else:
        P, R = _weighted(S, G if basis == "fisher" else np.diag(np.diag(G)))
    return BlockTransform(P, R, np.einsum("ck,cd,dk->k", R, G, R))


def _weighted(S: FloatArray, G: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = np.linalg.eigh(G)
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    U = _eigenvectors(root @ S @ root)
    return U.T @ root, inverse @ U


def cosine_transform(size: int) -> FloatArray:
    """Return the orthonormal DCT-II (size, size): P[k, c] = √(2/size)·cos(π·k·(2c + 1)/(2·size)), row 0 over √2."""
    k, c = np.arange(size)[:, None], np.arange(size)[None]
    P = np.sqrt(2 / size) * np.cos(np.pi * k * (2 * c + 1) / (2 * size))
    P[0] /= np.sqrt(2)
    return np.asarray(P, np.float64)


def ridged(G: FloatArray) -> FloatArray:
    """Return Fisher information G with its spectrum lifted; a block without any gradient counts all channels alike."""
    level = float(np.trace(G)) / len(G)
    return G + max(_RIDGE * level, np.finfo(np.float64).tiny * 1e30) * np.eye(len(G))


def _eigenvectors(S: FloatArray) -> FloatArray:
    """Return the eigenvectors as columns, by falling eigenvalue, signed so that the largest entry is positive."""
    _, vectors = np.linalg.eigh((S + S.T) / 2)
    vectors = vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(0), np.arange(len(S))]
    return np.asarray(vectors * np.where(largest < 0, -1.0, 1.0))
