import pytest
import torch

from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.evaluate import evaluate
from actcodec.export import integer_tables
from actcodec.learn import LearnRecipe, learn
from actcodec.networks import load_network
from actcodec.tables import Tables

torch.set_num_threads(1)
NETWORK = load_network("mnist-resnet12")
TEST = load_dataset("mnist", "test").head(200)
QUICK = LearnRecipe(calibration_images=64, positions=2048, selection_images=48, transform="identity")


@pytest.fixture(scope="module")
def tables() -> Tables:
    train = load_dataset("mnist", "train")
    return integer_tables(learn(NETWORK, train, 4.0, recipe=QUICK, progress=False))


def test_the_modes_stand_in_their_order(tables: Tables) -> None:
    exact = evaluate(NETWORK, TEST, "float", progress=False)
    bytes_ = evaluate(NETWORK, TEST, "int8", tables=tables, progress=False)
    golden = evaluate(NETWORK, TEST, "golden", tables=tables, progress=False)
    assert exact.divergence == pytest.approx(0, abs=1e-9)
    assert exact.agreement == exact.images == 200
    assert exact.divergence <= bytes_.divergence < golden.divergence
    assert exact.logit_sqnr is None or exact.logit_sqnr > 100
    assert bytes_.logit_sqnr is not None and golden.logit_sqnr is not None
    assert bytes_.logit_sqnr > golden.logit_sqnr > 0
    assert golden.accuracy >= exact.accuracy - 0.03
    assert evaluate(NETWORK, TEST, "golden", tables=tables, progress=False) == golden


def test_w8_weights_are_near_the_float_ones() -> None:
    result = evaluate(NETWORK, TEST, "float", weights="w8", progress=False)
    assert 0 < result.divergence < 0.01
    assert result.weights == "w8"


def test_what_does_not_go_together_is_refused(tables: Tables) -> None:
    with pytest.raises(ActcodecError, match="tables: are needed"):
        evaluate(NETWORK, TEST, "golden", progress=False)
    with pytest.raises(ActcodecError, match="mode: 'fast' is unknown"):
        evaluate(NETWORK, TEST, "fast", progress=False)  # type: ignore[arg-type]
    with pytest.raises(ActcodecError, match="dataset: 0 images"):
        evaluate(NETWORK, TEST.head(0), "float", progress=False)
    other = Tables(tables.params, tables.sites[:-1], tables.provenance)
    with pytest.raises(ActcodecError, match="have 10 sites"):
        evaluate(NETWORK, TEST, "int8", tables=other, progress=False)
