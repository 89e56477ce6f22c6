"""Block transforms: principal components, plain and weighted by what the network feels.

    plain     S = U Λ Uᵀ                 P = Uᵀ,        R = U
    fisher    G^½ S G^½ = U Λ Uᵀ         P = Uᵀ G^½,    R = G^−½ U
    identity                             P = R = I

S is the covariance of a block, G its Fisher information (`calibrate`). The weighted one is the Karhunen–Loève transform
under the norm eᵀGe: its coefficients are uncorrelated and an error in any of them costs the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.calibrate import SiteStatistics

FloatArray = NDArray[np.float64]
Basis = Literal["pca", "fisher", "identity"]

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
    return tuple(
        _transform(S, _ridged(G), basis) for S, G in zip(statistics.covariance, statistics.fisher, strict=True)
    )


def _transform(S: FloatArray, G: FloatArray, basis: Basis) -> BlockTransform:
    if basis == "identity":
        P = R = np.eye(len(S))
    elif basis == "pca":
        R = _eigenvectors(S)
        P = R.T
    else:
        values, vectors = np.linalg.eigh(G)
        root = (vectors * np.sqrt(values)) @ vectors.T
        inverse = (vectors / np.sqrt(values)) @ vectors.T
        U = _eigenvectors(root @ S @ root)
        P, R = U.T @ root, inverse @ U
    return BlockTransform(P, R, np.einsum("ck,cd,dk->k", R, G, R))


def _ridged(G: FloatArray) -> FloatArray:
    """Return G with its spectrum lifted; a block without any gradient counts all channels alike."""
    level = float(np.trace(G)) / len(G)
    return G + max(_RIDGE * level, np.finfo(np.float64).tiny * 1e30) * np.eye(len(G))


def _eigenvectors(S: FloatArray) -> FloatArray:
    """Return the eigenvectors as columns, by falling eigenvalue, signed so that the largest entry is positive."""
    _, vectors = np.linalg.eigh((S + S.T) / 2)
    vectors = vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(0), np.arange(len(S))]
    return np.asarray(vectors * np.where(largest < 0, -1.0, 1.0))
