from pathlib import Path

import pytest
import torch

from actcodec.errors import ActcodecError
from actcodec.learn import train as training
from actcodec.learn.train import TrainingRecipe, train_network

torch.set_num_threads(1)
SHORT = TrainingRecipe(epochs=2, batch=16, rate=0.05)


class InterruptedRunError(Exception):
    pass


def run(out: Path, recipe: TrainingRecipe = SHORT, seed: int = 3) -> bytes:
    train_network("mnist-resnet12", out, recipe=recipe, seed=seed, images=64, progress=False)
    return out.read_bytes()


def test_a_resumed_run_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole.safetensors")
    epoch = training._Run.epoch

    def stop_in_second(self: training._Run, train: object, number: int, progress: bool) -> None:
        if number == 1:
            raise InterruptedRunError
        epoch(self, train, number, progress)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(training._Run, "epoch", stop_in_second)
        with pytest.raises(InterruptedRunError):
            run(tmp_path / "part.safetensors")
    state = tmp_path / "part.safetensors.resume"
    assert state.exists()
    with pytest.raises(ActcodecError, match="seed is 3, this run has 4"):
        run(tmp_path / "part.safetensors", seed=4)
    assert run(tmp_path / "part.safetensors") == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.safetensors", "whole.safetensors"]


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    recipe = TrainingRecipe(epochs=10, rate=0.2, warmup=1)
    assert recipe.rate_at(0.5) == pytest.approx(0.1, rel=0.01)
    assert recipe.rate_at(1) == pytest.approx(0.2)
    assert recipe.rate_at(10) == pytest.approx(0)


def test_bad_recipes_are_refused() -> None:
    with pytest.raises(ActcodecError, match="epochs is 0"):
        TrainingRecipe(epochs=0)
    with pytest.raises(ActcodecError, match="smoothing is 1"):
        TrainingRecipe(smoothing=1)
