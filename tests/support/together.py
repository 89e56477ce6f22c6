"""What two processes do together and one alone: `torchrun … -m support.together FOLDER [fail]`.

Of `tests/sw/test_learn_distributed.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.learn import Plan, plan_sha256, save_plan
from actcodec.learn.distributed import World, joined, synchronise_batchnorm
from actcodec.learn.train import TrainingRecipe, _Run
from actcodec.learn.tuning import trainer
from actcodec.networks import network_spec
from support.learning import quick_plan

# One step an epoch, so that the log has the loss of every step; 37 images are 18 and 19.
TUNED: dict[str, Any] = {
    "epochs": 6,
    "images": 37,
    "batch": 37,
    "weights": True,
    "cross_entropy": 0.3,
    "reconstruction": 0.5,
    "mixup": 1.0,
    "temperature": 2.0,
    "keep": "last",
    "batchnorm": True,
    "block_epochs": 1,
    "block_images": 32,
}
# Three steps an epoch, the last one of 6 images.
SEARCHED: dict[str, Any] = {
    "allocation": "partition",
    "search": "window",
    "search_epochs": 2,
    "search_images": 70,
    "search_slide": 2,
    "batch": 32,
    "weights": True,
}


def tuned(folder: Path, world: World) -> Plan:
    return quick_plan(1.6, **TUNED, state=folder / "tuned.resume", world=world)


def searched(folder: Path, world: World) -> Plan:
    state, log = folder / "searched.resume", folder / "searched.json"
    return quick_plan(2.0, **SEARCHED, state=state, search_log=log, world=world)


def trained(world: World) -> dict[str, Tensor]:
    """What training from scratch makes of the small network, in float64.

    In float32 the gradients of BatchNorm behind an untrained network move by a hundredth when the images of a batch
    merely change places.
    """
    spec, data = network_spec("mnist-resnet12"), load_dataset("mnist", "train").head(70)
    run = _Run(spec, TrainingRecipe(epochs=2, batch=33, rate=0.05), 0, world)
    run.model.double()
    run.model.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    for epoch in range(2):
        run.epoch(data, epoch, False)
    return {name: value.contiguous() for name, value in run.state().items()}


def stop_at(number: int, error: BaseException) -> Any:
    """Let training stop by ``error`` in front of an epoch; return what it did before."""
    epoch = trainer._Run.epoch

    def stop(self: Any, index: int, progress: bool) -> float:
        if index == number:
            raise error
        return epoch(self, index, progress)

    trainer._Run.epoch = stop  # type: ignore[method-assign]
    return epoch


def killed(folder: Path, world: World) -> Plan:
    """`tuned`, interrupted in its fourth epoch and taken up."""
    folder.mkdir()
    epoch = stop_at(3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        tuned(folder, world)
    trainer._Run.epoch = epoch  # type: ignore[method-assign]
    assert (folder / "tuned.resume").exists() == world.is_first
    return tuned(folder, world)


def check_sums(world: World) -> None:
    """Gradients and losses of parts add up to those of the whole; a parameter without gradient keeps none."""
    torch.manual_seed(1)
    layer, unused = nn.Linear(5, 3), nn.Parameter(torch.zeros(2))
    x = torch.randn(7, 5)
    whole = layer(x).square().mean()
    expected = torch.autograd.grad(whole, list(layer.parameters()))
    loss = layer(x[world.part(7)]).square().mean() * world.share(7)
    loss.backward()
    total = world.sum_gradients([*layer.parameters(), unused], loss)
    assert total == pytest.approx(float(whole.detach()), rel=1e-6)
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert unused.grad is None


def check_first(world: World) -> None:
    """What the first process finds, values or an error, is known to all."""
    tensors = [torch.full((3,), float(world.rank)), torch.tensor([world.rank == 0])]
    world.copy_from_first(tensors)
    assert tensors[0].tolist() == [0, 0, 0] and tensors[1].tolist() == [True]
    assert world.by_first(lambda: world.rank) == 0

    def fail() -> None:
        raise ActcodecError("plan", "is corrupt")

    with pytest.raises(ActcodecError, match="plan: is corrupt"):
        world.by_first(fail)


def check_batchnorm(world: World, norm: nn.Module, shape: tuple[int, ...]) -> None:
    """Values, gradients and running statistics are those of torch's BatchNorm on the whole batch."""
    torch.manual_seed(2)
    part = world.part(shape[0])
    norm.double()
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 2)
    affine = bool(list(norm.parameters()))
    shared = type(norm)(shape[1], affine=affine, momentum=norm.momentum).double()  # type: ignore[call-arg]
    shared.load_state_dict(norm.state_dict())
    synchronise_batchnorm(shared, world)
    for _ in range(2):
        # A mean far from 0: moments must not be differences of large numbers.
        x = (torch.randn(shape, dtype=torch.float64) + 1000).requires_grad_()
        own = x.detach()[part].clone().requires_grad_()
        slope = torch.randn(shape, dtype=torch.float64)
        expected, got = norm(x), shared(own)
        torch.testing.assert_close(got, expected[part])
        expected.backward(slope)
        got.backward(slope[part])
        torch.testing.assert_close(own.grad, x.grad[part])  # type: ignore[index]
        for mine, its in zip(shared.parameters(), norm.parameters(), strict=True):
            torch.testing.assert_close(world.sum(mine.grad.clone()), its.grad)  # type: ignore[union-attr]
            mine.grad = its.grad = None
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], value)
    torch.testing.assert_close(shared.eval()(own), norm.eval()(x)[part])


def numbers(plan: Plan) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": torch.from_numpy(np.ascontiguousarray(value, np.float64))
        for index, site in enumerate(plan.sites)
        for name, value in vars(site.arrays).items()
    }


def everything(folder: Path, world: World) -> None:
    """Do all that is compared; every process leaves its numbers, the first one the files of a run."""
    folder.mkdir(exist_ok=True)
    for work in (tuned, searched):
        plan = work(folder, world)
        save_file(numbers(plan), folder / f"{work.__name__}.{world.rank}.safetensors")
        if world.is_first:
            save_plan(plan, folder / work.__name__)
    save_file(trained(world), folder / f"trained.{world.rank}.safetensors")


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with joined() as world:
        if sys.argv[2:] == ["fail"]:
            if world.rank == 1:
                stop_at(1, RuntimeError("the second process fails"))
            quick_plan(1.6, epochs=3, world=world)
        check_sums(world)
        check_first(world)
        for momentum in (0.1, None):
            check_batchnorm(world, nn.BatchNorm2d(3, momentum=momentum), (5, 3, 4, 2))
        check_batchnorm(world, nn.BatchNorm1d(4, affine=False), (7, 4))
        everything(folder, world)
        again = world.by_first(lambda: folder / "again")
        plan = killed(again, world) if world.is_first else killed(folder / "elsewhere", world)
        (folder / f"killed.{world.rank}.txt").write_text(plan_sha256(plan))


if __name__ == "__main__":
    main()
