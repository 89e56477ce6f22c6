"""The checkpoint of a network whose weights were trained under compression."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save

from actcodec.networks import Network, SitedNetwork
from actcodec.networks.channels import channel_metadata
from actcodec.networks.fold import fold_batchnorm, unfolded_state
from actcodec.networks.permutation import permute_channels


def checkpoint_of(network: Network, trained: SitedNetwork, orders: Mapping[int, NDArray[np.int64]]) -> bytes:
    """Return a checkpoint (safetensors) of ``network`` with the weights of ``trained``, a sited copy of it.

    ``orders`` are the channel orders that ``trained`` was made with; the checkpoint has the network's own. Loaded,
    folded and put into these orders again it gives the weights of ``trained``, bit for bit.
    Raises ActcodecError as `unfolded_state` does.
    """
    weights = trained.network.state_dict()
    if network.site_modules:
        state = {name: weights[name] for name in network.model.state_dict() if not name.endswith("num_batches_tracked")}
    else:
        folded = fold_batchnorm(network.model)
        if orders:
            folded = permute_channels(folded, trained.sites, orders)
        folded.load_state_dict({name: weights[name] for name in folded.state_dict()})
        if orders:
            folded = permute_channels(folded, trained.sites, {site: np.argsort(o) for site, o in orders.items()})
        state = unfolded_state(network.model, folded)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    return save(tensors, metadata=channel_metadata(network.channels))
