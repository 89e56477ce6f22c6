"""Sites construct by construct: what is stored, who reads it, and that every reader gets the decoded tensor."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from actcodec.errors import ActcodecError
from actcodec.networks import SitedNetwork, SiteSpec, find_sites, fold_batchnorm, network_macs

torch.set_num_threads(1)
SHAPE = (3, 8, 8)
Body = Callable[[nn.Module, Tensor], Tensor]


class Built(nn.Module):
    """Convolutions ``a``, ``b``, ``c`` of 4 channels, BatchNorm ``n`` and more, joined by ``body``; a linear head."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Conv2d(4, 4, 3, padding=1)
        self.wide = nn.Conv2d(8, 4, 1)
        self.n = nn.BatchNorm2d(4)
        self.n8 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.relu6, self.six = nn.ReLU6(inplace=True), nn.Hardtanh(0, 6)
        self.maximum, self.mean = nn.MaxPool2d(2), nn.AvgPool2d(2)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)
        for norm in (self.n, self.n8):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias, -1, 1)
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
        self.eval()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self, x).mean((2, 3)))


def check(body: Body, expected: list[tuple[str, str, int, int]]) -> tuple[SiteSpec, ...]:
    """(name, activation, readers, height) of the sites; the tapped network computes the same function."""
    model = Built(body)
    folded = fold_batchnorm(model)
    sites = find_sites(folded, SHAPE)
    assert [(s.name, s.activation, s.readers, s.height) for s in sites] == expected
    assert find_sites(model, SHAPE) == sites
    sited = SitedNetwork(folded, sites)
    x = torch.randn(2, *SHAPE)
    stored: dict[int, Tensor] = {}

    def keep(index: int, tensor: Tensor) -> Tensor:
        stored[index] = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        return stored[index]

    reference = model(x)
    logits = sited(x, keep)
    torch.testing.assert_close(logits, reference)
    torch.testing.assert_close(sited(x), reference)
    for site in sites:
        assert stored[site.index].shape[1:] == (site.channels, site.height, site.width)
        assert site.activation == "none" or stored[site.index].min() >= 0
    # As in calibration: nothing changed the stored tensors in place, and the logits depend on each of them.
    for gradient in torch.autograd.grad(logits.sum(), [stored[s.index] for s in sites]):
        assert gradient.abs().sum() > 0
    # Nothing reads around the last of them: with every site silenced the image makes no difference.
    silent = sited(x, lambda _, tensor: torch.zeros_like(tensor))
    torch.testing.assert_close(silent[0], silent[1])
    return sites


def test_activations_as_modules_functions_and_methods() -> None:
    for relu in (functional.relu, torch.relu, lambda t: t.relu(), lambda t: functional.relu(t, inplace=True)):
        check(lambda m, x, relu=relu: relu(m.b(relu(m.a(x)))), [("a", "relu", 1, 8), ("b", "relu", 1, 8)])
    for relu6 in (functional.relu6, lambda t: functional.hardtanh(t, 0.0, 6.0)):
        check(lambda m, x, relu6=relu6: m.b(relu6(m.a(x))), [("a", "relu6", 1, 8), ("b", "none", 1, 8)])
    check(lambda m, x: m.six(m.b(m.relu6(m.a(x)))), [("a", "relu6", 1, 8), ("b", "relu6", 1, 8)])
    for other in (
        functional.silu,
        functional.leaky_relu,
        functional.hardswish,
        functional.hardtanh,
        lambda t: t.tanh(),
    ):
        sites = check(lambda m, x, other=other: m.b(other(m.a(x))), [("a", "none", 1, 8), ("b", "none", 1, 8)])
        model = Built(lambda m, x, other=other: m.b(other(m.a(x))))
        kept: list[Tensor] = []
        x = torch.randn(1, *SHAPE)
        SitedNetwork(model, sites)(x, lambda i, t, kept=kept: kept.append(t) or t)
        torch.testing.assert_close(kept[0], other(model.a(x)))


def test_a_residual_sum_is_stored_once_and_read_by_all() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        x = m.relu(m.b(x) + x)
        return m.relu(m.n(m.c(x)) + x)

    # The group of ``c`` reads the sum once, for its convolution and for its shortcut; that of ``b`` likewise.
    check(body, [("a", "relu", 1, 8), ("b", "relu", 1, 8), ("c", "relu", 1, 8)])

    def longer(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        return m.relu(m.c(m.relu(m.b(x))) + x)

    check(longer, [("a", "relu", 2, 8), ("b", "relu", 1, 8), ("c", "relu", 1, 8)])


def test_a_sum_after_the_activation_is_stored_too() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        x = x.add(functional.relu(m.b(x)))
        x += functional.relu(m.c(x))
        return x

    check(body, [("a", "none", 1, 8), ("b", "none", 1, 8), ("c", "none", 1, 8)])


def test_the_parts_of_a_concatenation_are_the_sites() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        y = m.relu(m.b(x))
        # BatchNorm after a concatenation cannot be folded; it is the reader's.
        return m.relu(m.wide(functional.relu(m.n8(torch.cat([x, y], 1)))))

    check(body, [("a", "relu", 2, 8), ("b", "relu", 1, 8), ("wide", "relu", 1, 8)])
    kept = [m for m in fold_batchnorm(Built(body)).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(kept) == 1


def test_tensors_may_be_finished_in_another_order_than_they_were_begun() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        first = m.a(x)
        second = m.relu(m.b(functional.pad(x, (0, 0, 0, 0, 0, 1))))
        return m.wide(torch.cat([functional.relu(first), second], 1))

    check(body, [("a", "relu", 1, 8), ("b", "relu", 1, 8), ("wide", "none", 1, 8)])


def test_norms_that_cannot_be_folded_stay() -> None:
    def before(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        # The sum is stored; norm and activation are computed by the convolution that reads it.
        x = x + m.b(m.relu(m.n(x)))
        return m.relu(m.c(x))

    check(before, [("a", "none", 1, 8), ("b", "none", 1, 8), ("c", "relu", 1, 8)])
    check(lambda m, x: m.b(m.n(m.relu(m.a(x)))), [("a", "relu", 1, 8), ("b", "none", 1, 8)])

    def functional_norm(m: nn.Module, x: Tensor) -> Tensor:
        n = m.n
        x = functional.batch_norm(m.a(x), n.running_mean, n.running_var, n.weight, n.bias, m.training)
        return m.b(functional.relu(x))

    check(functional_norm, [("a", "relu", 1, 8), ("b", "none", 1, 8)])


def test_a_norm_that_is_called_twice_is_folded_into_neither() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        return m.relu(m.n(m.b(m.relu(m.n(m.a(x))))))

    check(body, [("a", "relu", 1, 8), ("b", "relu", 1, 8)])


def test_a_norm_without_statistics_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU())
    with pytest.raises(ActcodecError, match="BatchNorm 1: keeps no running statistics"):
        fold_batchnorm(model)


@pytest.mark.parametrize(
    "pool", [lambda m, x: m.maximum(x), lambda m, x: m.mean(x), lambda m, x: functional.avg_pool2d(x, 2)]
)
def test_window_pooling_by_the_only_reader_is_fused(pool: Body) -> None:
    check(lambda m, x: m.b(pool(m, m.relu(m.n(m.a(x))))), [("a", "relu", 1, 4), ("b", "none", 1, 4)])
    check(lambda m, x: m.b(functional.relu(pool(m, m.a(x)))), [("a", "relu", 1, 4), ("b", "none", 1, 4)])


def test_pooling_beside_another_reader_is_not_fused() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        return functional.max_pool2d(m.b(x), 2) + m.c(functional.max_pool2d(x, 2))

    check(body, [("a", "relu", 2, 8), ("b", "none", 1, 4), ("c", "none", 1, 4)])


def test_global_pooling_belongs_to_the_reader() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        # A gate computed of the whole tensor, as in squeeze-and-excitation: the tensor is read by both.
        return m.c(x * torch.sigmoid(m.b(functional.adaptive_avg_pool2d(x, 1))))

    check(body, [("a", "relu", 2, 8), ("b", "none", 1, 1), ("c", "none", 1, 8)])


def test_dropout_identity_and_shape_queries_are_passed() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = functional.dropout(m.drop(m.n(m.a(x))), training=m.training)
        x = m.drop(m.relu(x))
        return m.b(functional.max_pool2d(x, 2)).reshape(x.size(0), 4, 4, 4)

    check(body, [("a", "relu", 1, 4), ("b", "none", 1, 4)])


def test_a_branch_that_is_thrown_away_is_no_site() -> None:
    def body(m: nn.Module, x: Tensor) -> Tensor:
        x = m.relu(m.a(x))
        m.c(m.relu(m.b(x)))
        return m.c(x)

    sites = find_sites(Built(body), SHAPE)
    assert [s.name for s in sites] == ["a", "c"]


def test_calls_that_could_not_be_stored_apart_are_refused() -> None:
    with pytest.raises(ActcodecError, match="module b: is called 2 times"):
        find_sites(Built(lambda m, x: m.b(m.b(m.a(x)))), SHAPE)
    with pytest.raises(ActcodecError, match="module 0: is a ConvTranspose2d"):
        find_sites(nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.Conv2d(4, 1, 1)), SHAPE)
    with pytest.raises(ActcodecError, match="calls conv2d as a function"):
        find_sites(Built(lambda m, x: functional.conv2d(x, m.a.weight)), SHAPE)
    with pytest.raises(ActcodecError, match="has no convolution"):
        find_sites(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), SHAPE)
    with pytest.raises(ActcodecError, match=r"network Built: does not run on an image C×H×W \(1, 8, 8\)"):
        find_sites(Built(lambda m, x: m.a(x)), (1, 8, 8))


class Branching(nn.Module):
    """Looks at its data, so that it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x) if x.sum() != 0.125 else x


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.mix = nn.Conv2d(4, 4, 3, padding=1)
        self.gate = Branching()
        self.head = nn.Linear(4, 5)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head((self.gate(self.mix(x)) + x).mean((2, 3)))


def test_an_untraceable_module_is_named_with_the_reason() -> None:
    with pytest.raises(ActcodecError, match=r"module gate \(Branching\): cannot be traced \(.*control flow.*--sites"):
        find_sites(Untraceable(), SHAPE)


def test_sites_named_by_module() -> None:
    model = Untraceable()
    sites = find_sites(model, SHAPE, ("gate", "stem"))
    # In execution order, whatever the order they were named in.
    assert [(s.name, s.activation, s.readers) for s in sites] == [("stem", "none", 1), ("gate", "none", 1)]
    assert sites[0].macs == 4 * 27 * 64 and sites[1].macs == 0
    assert network_macs(model, SHAPE) == 64 * (4 * 27 + 16 * 9) + 20
    sited = SitedNetwork(model, sites, by_module=True)
    x = torch.randn(2, *SHAPE)
    torch.testing.assert_close(sited(x), model(x))
    torch.testing.assert_close(sited(x, lambda _, t: t), model(x))
    silent = sited(x, lambda _, t: torch.zeros_like(t))
    torch.testing.assert_close(silent, model.head.bias.expand(2, -1))
    # Of the original nothing is hooked.
    assert not model.gate._forward_hooks


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("gone",), "'gone' is no module of Untraceable"),
        (("stem", "stem"), "'stem' is named twice"),
        (("",), "'' is no module"),
        (("head",), "module head does not return a tensor N×C×H×W"),
    ],
)
def test_bad_site_names_are_refused(names: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ActcodecError, match=problem):
        find_sites(Untraceable(), SHAPE, names)
