"""What two processes do together and one alone, for `test_learn_distributed`: `torchrun … -m support.together FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from actcodec.learn import Plan, plan_sha256, save_plan
from actcodec.learn.distributed import ALONE, World, joined, synchronise_batchnorm
from actcodec.learn.train import TrainingRecipe, train_network
from actcodec.learn.tuning import trainer
from support.learning import quick_plan

# One step an epoch, so that the log has the loss of every step; 37 images are 18 and 19.
STEPS: dict[str, Any] = {
    "epochs": 6,
    "images": 37,
    "batch": 37,
    "weights": True,
    "cross_entropy": 0.3,
    "reconstruction": 0.5,
    "mixup": 1.0,
    "temperature": 2.0,
    "keep": "last",
}
# Three batches an epoch, the last one of 6 images.
EPOCHS = {**STEPS, "epochs": 3, "images": 70, "batch": 32, "batchnorm": True, "block_epochs": 1, "block_images": 32}
SEARCH: dict[str, Any] = {
    "allocation": "partition",
    "search": "window",
    "search_epochs": 6,
    "search_images": 37,
    "search_slide": 2,
    "batch": 37,
    "weights": True,
}
TRAINING = TrainingRecipe(epochs=3, batch=33, rate=0.05)


def steps(folder: Path, world: World) -> Plan:
    return quick_plan(1.6, **STEPS, state=folder / "steps.resume", world=world)


def epochs(folder: Path, world: World) -> Plan:
    return quick_plan(1.6, **EPOCHS, state=folder / "epochs.resume", world=world)


def search(folder: Path, world: World) -> Plan:
    return quick_plan(2.0, **SEARCH, state=folder / "search.resume", search_log=folder / "search.json", world=world)


def train(folder: Path, world: World) -> None:
    train_network(
        "mnist-resnet12", folder / "network.safetensors", recipe=TRAINING, images=70, progress=False, world=world
    )


def killed(folder: Path, world: World) -> Plan:
    """`epochs`, killed in its third epoch and taken up."""
    epoch = trainer._Run.epoch

    def stop(self: Any, number: int, progress: bool) -> float:
        if number == 2:
            raise KeyboardInterrupt
        return epoch(self, number, progress)

    trainer._Run.epoch = stop  # type: ignore[method-assign]
    try:
        epochs(folder, world)
    except KeyboardInterrupt:
        trainer._Run.epoch = epoch  # type: ignore[method-assign]
    return epochs(folder, world)


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
    assert abs(total - float(whole)) < 1e-6
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert unused.grad is None
    tensors = [torch.full((3,), float(world.rank)), torch.tensor([world.rank == 0])]
    world.copy_from_first(tensors)
    assert tensors[0].tolist() == [0, 0, 0] and tensors[1].tolist() == [True]
    assert world.by_first(lambda: world.rank) == 0


def check_batchnorm(world: World, norm: nn.Module, shape: tuple[int, ...]) -> None:
    """Values, gradients and running statistics are those of torch's BatchNorm on the whole batch."""
    torch.manual_seed(2)
    part = world.part(shape[0])
    norm.double()
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 2)
    shared = type(norm)(shape[1], affine=bool(list(norm.parameters())), momentum=norm.momentum).double()  # type: ignore[call-arg]
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
    """Do all that is compared; every process leaves its plans' numbers, the first one the files of a run."""
    folder.mkdir(exist_ok=True)
    for work in (steps, epochs, search):
        plan = work(folder, world)
        save_file(numbers(plan), folder / f"{work.__name__}.{world.rank}.safetensors")
        if world.is_first:
            save_plan(plan, folder / work.__name__)
    train(folder, world)


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with joined() as world:
        check_sums(world)
        for momentum in (0.1, None):
            check_batchnorm(world, nn.BatchNorm2d(3, momentum=momentum), (5, 3, 4, 2))
        check_batchnorm(world, nn.BatchNorm1d(4, affine=False), (7, 4))
        everything(folder, world)
        again = folder / "again"
        again.mkdir(exist_ok=True)
        plan = killed(again, world)
        if world.is_first:
            (folder / "killed.txt").write_text(plan_sha256(plan))


if __name__ == "__main__":
    main()


__all__ = ["ALONE", "everything"]
