"""A network cut at its sites computes what the whole one computes."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from actcodec.errors import ActcodecError
from actcodec.networks import SitedNetwork, find_sites, fold_batchnorm, network_spec
from actcodec.networks.stages import StagedNetwork, State

torch.set_num_threads(1)
NAMES = ("cifar10-resnet20", "cifar10-resnet18-w0.125", "cifar10-mobilenetv2-w0.25", "cifar10-vgg16-w0.125")


def sited(model: nn.Module, shape: tuple[int, int, int] = (3, 32, 32)) -> SitedNetwork:
    folded = fold_batchnorm(model.eval())
    return SitedNetwork(folded, find_sites(folded, shape))


def halved(site: int, tensor: Tensor) -> Tensor:
    """A change that depends on the site."""
    return tensor * (0.9 + 0.01 * (site % 7))


@pytest.mark.parametrize("name", NAMES)
def test_from_any_site_on_the_result_is_that_of_the_whole(name: str) -> None:
    torch.manual_seed(0)
    network = sited(network_spec(name).build())
    staged = StagedNetwork(network)
    assert sorted(staged.order) == [site.index for site in network.sites]
    x = torch.randn(2, 3, 32, 32)
    states: dict[int, State] = {}
    with torch.no_grad():
        whole = network(x, halved)
        assert torch.equal(staged.run(x, halved, states.__setitem__), whole)
        assert set(states) == set(staged.order)
        for site in staged.order[:: max(len(staged.order) // 6, 1)]:
            renewed: dict[int, State] = {}
            assert torch.equal(staged.resume(site, states[site], halved, renewed.__setitem__), whole)
            assert set(renewed) == set(staged.order[staged.order.index(site) :])
        # The pieces one after another are the whole.
        cuts = [None, *staged.cuts, *([None] if staged.cuts[-1] == staged.order[-1] else [])]
        piece = x
        for first, last in pairwise(cuts):
            piece = staged.between(first, last, piece, halved)
        assert torch.equal(piece, whole)
    assert [s for a, b in pairwise(cuts) for s in staged.sites_between(a, b)][: len(staged.order)] == list(staged.order)


def test_cuts_are_block_outputs() -> None:
    network = sited(network_spec("cifar10-resnet20").build())
    names = [network.sites[site].name for site in StagedNetwork(network).cuts]
    assert names == ["conv1", *(f"layer{stage}.{block}.conv2" for stage in (1, 2, 3) for block in range(3))]


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        y = self.b(nn.functional.relu(x, True))
        y += x
        return self.head(y.mean((2, 3)))  # type: ignore[no-any-return]


def test_operations_in_place_do_not_reach_what_was_kept() -> None:
    torch.manual_seed(1)
    network = sited(InPlace(), (3, 8, 8))
    staged = StagedNetwork(network)
    x = torch.randn(2, 3, 8, 8)
    states: dict[int, State] = {}
    with torch.no_grad():
        whole = network(x, halved)
        staged.run(x, halved, states.__setitem__)
        for _ in range(2):
            for site in staged.order:
                torch.testing.assert_close(staged.resume(site, states[site], halved), whole)


def test_a_network_without_a_graph_is_refused() -> None:
    model = InPlace().eval()
    named = SitedNetwork(model, find_sites(model, (3, 8, 8), ("a",)), by_module=True)
    with pytest.raises(ActcodecError, match="sites: were named by module"):
        StagedNetwork(named)
