"""Channel orders folded into the weights: which sites are tied, which are frozen, and that the function stays."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from actcodec.errors import ActcodecError
from actcodec.networks import SitedNetwork, SiteSpec, find_sites, fold_batchnorm, network_spec
from actcodec.networks.permutation import permutable_classes, permute_channels

torch.set_num_threads(1)
SHAPE = (3, 8, 8)
Body = Callable[[nn.Module, Tensor], Tensor]
Orders = dict[int, NDArray[np.int64]]


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with BatchNorms that do something, in evaluation mode."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0, 1)
    return model.eval()


class Built(nn.Module):
    """Layers of 6 channels joined by ``body``, which returns the logits."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Conv2d(3, 6, 3, padding=1)
        self.b = nn.Conv2d(6, 6, 3, padding=1)
        self.c = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.d = nn.Conv2d(6, 6, 3, padding=1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.grouped = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.multiplied = nn.Conv2d(6, 12, 3, padding=1, groups=6)
        self.one = nn.Conv2d(6, 1, 1)
        self.narrow = nn.Conv2d(3, 6, 1)
        self.wide, self.wider = nn.Conv2d(12, 6, 1), nn.Conv2d(8, 6, 1)
        self.n, self.plain = nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False)
        self.relu = nn.ReLU(inplace=True)
        self.slope, self.slopes = nn.PReLU(), nn.PReLU(6)
        self.pool, self.indexed = nn.MaxPool2d(2), nn.MaxPool2d(2, return_indices=True)
        self.flatten = nn.Flatten()
        self.layer_norm, self.instance_norm = nn.GroupNorm(2, 6), nn.InstanceNorm2d(6)
        self.head, self.map_head, self.row_head = nn.Linear(6, 5), nn.Linear(6 * 16, 5), nn.Linear(8, 5)
        self.extra = nn.Parameter(torch.randn(1, 6, 1, 1))
        self.body = body
        randomised(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def stored(folded: fx.GraphModule, sites: tuple[SiteSpec, ...], x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
    """Logits and the tensor of every site."""
    tensors: dict[int, Tensor] = {}

    def keep(index: int, tensor: Tensor) -> Tensor:
        tensors[index] = tensor.clone()
        return tensor

    return SitedNetwork(folded, sites)(x, keep), tensors


def random_orders(classes: tuple[tuple[int, ...], ...], sites: tuple[SiteSpec, ...], seed: int = 1) -> Orders:
    rng = np.random.default_rng(seed)
    orders: Orders = {}
    for members in classes:
        order = rng.permutation(sites[members[0]].channels)
        # A site that was forgotten has to be noticed.
        assert (order != np.arange(len(order))).any()
        orders |= dict.fromkeys(members, order)
    return orders


def check_permuted(folded: fx.GraphModule, sites: tuple[SiteSpec, ...], orders: Orders, shape: tuple[int, ...]) -> None:
    """The permuted network computes the same, stores the same in another order, and can be permuted back."""
    before = {name: value.clone() for name, value in folded.state_dict().items()}
    permuted = permute_channels(folded, sites, orders)
    assert find_sites(permuted, shape) == sites
    x = torch.randn(2, *shape)
    (expected, originals), (logits, tensors) = stored(folded, sites, x), stored(permuted, sites, x)
    scale = float(expected.abs().max())
    torch.testing.assert_close(logits, expected, atol=1e-5 * scale, rtol=1e-4)
    for site in sites:
        reordered = originals[site.index][:, orders.get(site.index, np.arange(site.channels))]
        scale = float(reordered.abs().max())
        torch.testing.assert_close(tensors[site.index], reordered, atol=1e-5 * scale, rtol=1e-4)
    back = permute_channels(permuted, sites, {index: np.argsort(order) for index, order in orders.items()})
    for name, value in back.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert torch.equal(folded.state_dict()[name], before[name]), name
    assert not any(parameter.requires_grad for parameter in back.parameters())


def check(body: Body, expected: list[list[str]]) -> None:
    """Names of the sites of every class; all of them permuted at once, then each class alone."""
    folded = fold_batchnorm(Built(body))
    sites = find_sites(folded, SHAPE)
    classes = permutable_classes(folded, sites)
    assert [[sites[index].name for index in members] for members in classes] == expected
    check_permuted(folded, sites, random_orders(classes, sites), SHAPE)
    for members in classes if len(classes) > 1 else ():
        check_permuted(folded, sites, random_orders((members,), sites, seed=2), SHAPE)


def logits(m: nn.Module, x: Tensor) -> Tensor:
    """Global pooling and the linear head."""
    return m.head(x.mean((2, 3)))


def after(m: nn.Module, x: Tensor) -> Tensor:
    """A convolution and the head: whatever comes before is tied to nothing else."""
    return logits(m, m.d(x))


@pytest.mark.parametrize("width", ["0.125", "0.25"])
def test_vgg_is_free_everywhere(width: str) -> None:
    spec = network_spec(f"cifar10-vgg16-w{width}")
    folded = fold_batchnorm(randomised(spec.build()))
    sites = find_sites(folded, spec.input_shape)
    classes = permutable_classes(folded, sites)
    assert classes == tuple((index,) for index in range(13))
    check_permuted(folded, sites, random_orders(classes, sites), spec.input_shape)


@pytest.mark.parametrize("name", ["cifar10-resnet20", "mnist-resnet12"])
def test_padded_shortcuts_freeze_the_residual_stream_but_not_the_inner_sites(name: str) -> None:
    spec = network_spec(name)
    folded = fold_batchnorm(randomised(spec.build()))
    sites = find_sites(folded, spec.input_shape)
    classes = permutable_classes(folded, sites)
    assert classes == tuple((site.index,) for site in sites if site.name.endswith(".conv1"))
    check_permuted(folded, sites, random_orders(classes, sites), spec.input_shape)


def test_projection_shortcuts_tie_a_stage() -> None:
    spec = network_spec("cifar10-resnet18-w0.125")
    folded = fold_batchnorm(randomised(spec.build()))
    sites = find_sites(folded, spec.input_shape)
    classes = permutable_classes(folded, sites)
    assert sorted(index for members in classes for index in members) == list(range(20))
    named = [{sites[index].name for index in members} for members in classes]
    assert {"conv1", "layer1.0.conv2", "layer1.1.conv2"} in named
    assert {"layer2.0.conv2", "layer2.0.downsample.0", "layer2.1.conv2"} in named
    check_permuted(folded, sites, random_orders(classes, sites), spec.input_shape)


@pytest.mark.parametrize("weights", ["float", "w8"])
def test_mobilenet_ties_expansions_to_depthwise_convolutions_and_bottlenecks_to_each_other(weights: str) -> None:
    spec = network_spec("cifar10-mobilenetv2-w0.25")
    folded = fold_batchnorm(randomised(spec.build()), weights)
    sites = find_sites(folded, spec.input_shape)
    classes = permutable_classes(folded, sites)
    assert sorted(index for members in classes for index in members) == list(range(52))
    named = [[sites[index].name for index in members] for members in classes]
    for block in range(4, 18):
        assert [f"features.{block}.conv.0.0", f"features.{block}.conv.1.0"] in named
    assert [f"features.{block}.conv.2" for block in (7, 8, 9, 10)] in named
    assert ["features.18.0"] in named
    check_permuted(folded, sites, random_orders(classes, sites), spec.input_shape)


def test_activations_pooling_and_dropout_keep_the_order() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = functional.relu6(m.pool(m.a(x)))
        x = functional.hardswish(functional.avg_pool2d(m.b(x), 2)).clamp(min=-1)
        x = functional.dropout(m.slope(m.c(1 - 2 * x)), training=m.training)
        return logits(m, functional.adaptive_avg_pool2d(torch.tanh(m.d(x)), 1))

    check(body, [["a"], ["b"], ["c"], ["d"]])


def test_operands_of_a_sum_or_a_product_share_an_order() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        x = m.relu(m.b(x) + x)
        x += m.c(x)
        return after(m, x)

    check(body, [["a", "b", "c"], ["d"]])

    def gate(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        return after(m, x * torch.sigmoid(m.b(functional.adaptive_avg_pool2d(x, 1))))

    check(gate, [["a", "b"], ["d"]])


def test_depthwise_convolutions_norms_and_slopes_pass_the_order_on() -> None:
    check(lambda m, x: after(m, m.relu(m.depthwise(m.relu(m.a(x))))), [["a", "depthwise"], ["d"]])
    # Behind the activation neither norm can be folded into a convolution.
    check(lambda m, x: after(m, m.plain(m.relu(m.n(m.relu(m.a(x)))))), [["a"], ["d"]])
    check(lambda m, x: after(m, m.slopes(m.a(x))), [["a"], ["d"]])
    check(lambda m, x: after(m, m.multiplied(m.a(x))[:, :6]), [["d"]])


def test_heads_after_global_pooling_and_on_maps() -> None:
    for pooled in (
        lambda m, x: x.mean((2, 3)),
        lambda m, x: torch.mean(x, dim=[-1, -2], keepdim=True).flatten(1),
        lambda m, x: x.mean(3).mean(2),
        lambda m, x: torch.flatten(functional.adaptive_max_pool2d(x, 1), 1),
        lambda m, x: m.flatten(x.mean((2, 3), keepdim=True)),
    ):
        check(lambda m, x, pooled=pooled: m.head(pooled(m, m.b(m.a(x)))), [["a"], ["b"]])
    for flat in (
        lambda m, x: torch.flatten(x, 1),
        lambda m, x: m.relu(m.flatten(x)),
        lambda m, x: x.view(x.size(0), -1),
        lambda m, x: x.reshape((x.shape[0], 96)),
        lambda m, x: torch.reshape(x, (x.size()[0], -1)),
    ):
        check(lambda m, x, flat=flat: m.map_head(flat(m, m.pool(m.b(m.a(x))))), [["a"], ["b"]])
    # Not known to be one row an image.
    check(lambda m, x: m.map_head(m.pool(m.b(m.a(x))).view(-1, 96)), [["a"]])
    # A linear layer on the last axis of a map.
    check(lambda m, x: m.row_head(m.b(m.a(x))).mean((1, 2)), [["a"]])


def test_positions_may_be_sliced_and_padded() -> None:
    check(lambda m, x: after(m, functional.pad(m.a(x)[:, :, ::2, 1:], (1, 0, 2, 0))), [["a"], ["d"]])


@pytest.mark.parametrize(
    "freeze",
    [
        pytest.param(lambda m, x: m.wide(torch.cat([x, x], 1)), id="concatenation"),
        pytest.param(lambda m, x: m.narrow(x.chunk(2, 1)[1]), id="chunk"),
        pytest.param(lambda m, x: m.narrow(x[:, :3]), id="channel slice"),
        pytest.param(lambda m, x: x[:1], id="image slice"),
        pytest.param(lambda m, x: x[..., ::2], id="ellipsis"),
        pytest.param(lambda m, x: m.wider(functional.pad(x, (0, 0, 0, 0, 1, 1))), id="channel padding"),
        pytest.param(lambda m, x: m.grouped(x), id="grouped convolution"),
        pytest.param(lambda m, x: m.wide(m.multiplied(x)), id="depthwise with a multiplier"),
        pytest.param(lambda m, x: m.layer_norm(x), id="group norm"),
        pytest.param(lambda m, x: m.instance_norm(x), id="unknown module"),
        pytest.param(lambda m, x: torch.softmax(x, 1), id="unknown function"),
        pytest.param(lambda m, x: x.flip(1), id="unknown method"),
        pytest.param(lambda m, x: x * m.extra, id="parameter of the network"),
        pytest.param(lambda m, x: x + torch.arange(6.0).reshape(6, 1, 1), id="constant tensor"),
        pytest.param(lambda m, x: x - x.mean(1, keepdim=True), id="mean over channels"),
        pytest.param(lambda m, x: x * m.one(x), id="one channel broadcast"),
        pytest.param(lambda m, x: m.indexed(x)[0], id="pooling with indices"),
        pytest.param(lambda m, x: m.n(m.relu(m.n(m.relu(x)))), id="norm called twice"),
        pytest.param(lambda m, x: m.slopes(x) * m.slopes.weight.sum(), id="parameter read elsewhere"),
        pytest.param(lambda m, x: functional.prelu(x, m.slopes.weight), id="functional with weights"),
    ],
)
def test_what_is_not_understood_freezes_all_that_is_tied(freeze: Body) -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        # ``b`` is tied to ``a`` by the sum, ``c`` to nothing.
        return after(m, m.relu(m.c(freeze(m, m.relu(m.b(x) + x)))))

    folded = fold_batchnorm(Built(body))
    sites = find_sites(folded, SHAPE)
    classes = permutable_classes(folded, sites)
    named = {sites[index].name for members in classes for index in members}
    assert not named & {"a", "b", "grouped", "multiplied"}
    assert {"c", "d"} <= named
    check_permuted(folded, sites, random_orders(classes, sites), SHAPE)


def test_a_convolution_that_computes_its_weights_is_frozen() -> None:
    for change in (parametrizations.weight_norm, lambda conv: conv.register_forward_hook(lambda *_: None)):
        model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
        change(model[0])
        folded = fold_batchnorm(model)
        sites = find_sites(folded, SHAPE)
        assert permutable_classes(folded, sites) == ((1,),)


def test_outputs_of_the_network_are_frozen() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = functional.relu(self.a(x))
            return self.b(x), x

    folded = fold_batchnorm(Two())
    sites = find_sites(folded, SHAPE)
    assert [site.name for site in sites] == ["a"]
    assert permutable_classes(folded, sites) == ()


def test_weights_shared_by_two_modules_part() -> None:
    model = Built(lambda m, x: after(m, m.relu(m.b(m.relu(m.c(m.relu(m.a(x))))))))
    model.b.weight = model.c.weight
    folded = fold_batchnorm(model)
    sites = find_sites(folded, SHAPE)
    check_permuted(folded, sites, random_orders(permutable_classes(folded, sites), sites), SHAPE)


def test_the_layout_in_memory_is_kept() -> None:
    model = Built(lambda m, x: after(m, m.b(m.a(x)))).to(memory_format=torch.channels_last)
    folded = fold_batchnorm(model)
    sites = find_sites(folded, SHAPE)
    permuted = permute_channels(folded, sites, random_orders(permutable_classes(folded, sites), sites))
    for name, value in folded.state_dict().items():
        assert permuted.state_dict()[name].stride() == value.stride()


@pytest.mark.parametrize(
    ("orders", "problem"),
    [
        ({5: np.arange(6)}, "orders: there is no site 5"),
        ({2: np.arange(6)}, "site c: its channels cannot be permuted"),
        ({4: np.arange(5)}, "site d: the order given is no permutation of its 6 channels"),
        ({4: np.array([0, 1, 2, 3, 4, 4])}, "site d: the order given is no permutation"),
        ({4: np.arange(6).reshape(2, 3)}, "site d: the order given is no permutation"),
        ({0: np.arange(6), 1: np.roll(np.arange(6), 1)}, "site b: must have the same order as site a"),
        ({0: np.arange(6)}, "site b: must have the same order as site a"),
        ({1: np.arange(6)}, "site b: must have the same order as site a"),
    ],
)
def test_bad_orders_are_refused(orders: Orders, problem: str) -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        return after(m, m.grouped(m.relu(m.c(m.relu(m.b(x) + x)))))

    folded = fold_batchnorm(Built(body))
    sites = find_sites(folded, SHAPE)
    assert [site.name for site in sites] == ["a", "b", "c", "grouped", "d"]
    assert permutable_classes(folded, sites) == ((0, 1), (4,))
    with pytest.raises(ActcodecError, match=problem):
        permute_channels(folded, sites, orders)
