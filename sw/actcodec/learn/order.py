"""Which channels share a block: an order for every site whose channels may be reordered."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.learn.assignment import assign_blocks
from actcodec.networks import Network, SitedNetwork, fold_batchnorm
from actcodec.networks.permutation import permutable_classes

Orders = dict[int, NDArray[np.int64]]


@torch.no_grad()
def choose_orders(network: Network, sited: SitedNetwork, inputs: Iterable[Tensor], block: int) -> Orders:
    """Return the order of every permutable site of more than ``block`` channels where one beats the stored one.

    Sites that have to share an order share the one for the mean of their covariances, each scaled to trace 1.
    A network whose sites were named by hand has none.
    """
    if network.site_modules:
        return {}
    tied = permutable_classes(fold_batchnorm(network.model), sited.sites)
    classes = [members for members in tied if sited.sites[members[0]].channels > block]
    wanted = {site for members in classes for site in members}
    sums = {site: np.zeros((sited.sites[site].channels,) * 2) for site in wanted}
    means = {site: np.zeros(sited.sites[site].channels) for site in wanted}
    count = dict.fromkeys(wanted, 0)

    def look(site: int, tensor: Tensor) -> Tensor:
        if site in wanted:
            rows = tensor.permute(0, 2, 3, 1).reshape(-1, tensor.shape[1])
            sums[site] += (rows.T @ rows).double().numpy()
            means[site] += rows.sum(0, dtype=torch.float64).numpy()
            count[site] += len(rows)
        return tensor

    for x in inputs:
        sited(x, look)
    orders: Orders = {}
    for members in classes:
        scaled = []
        for site in members:
            mean = means[site] / count[site]
            covariance = sums[site] / count[site] - np.outer(mean, mean)
            scaled.append(covariance / max(np.trace(covariance), 1e-30))
        order = assign_blocks(np.mean(scaled, axis=0), block)
        if not np.array_equal(order, np.arange(len(order))):
            orders |= dict.fromkeys(members, order)
    return orders
