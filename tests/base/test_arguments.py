import pytest

from bench import MAML, SinusoidDataModule
from bench.base import arguments
from bench.base.errors import BenchError
from bench.data.glyphs import GlyphsDataModule


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MAML(seed=2**64), "seed=18446744073709551616: give a whole number from -9223"),
        (lambda: MAML(seed=10**5000), r"seed=\(thousands of digits\): give a whole number from"),
        (lambda: SinusoidDataModule(seed=-(2**63) - 1), "to 18446744073709551615$"),
        (lambda: GlyphsDataModule(data_seed=2**64), "data_seed=1844"),
        (lambda: SinusoidDataModule(shots=2**31), "shots=2147483648: give a whole number from"),
        (lambda: MAML(inner_lr=float("inf")), r"inner_lr=inf: give a number up to 1e\+30"),
        (lambda: MAML(inner_lr=-1e-9), "inner_lr=-1e-09: give a number of at least 0"),
        (lambda: MAML(inner_lr=float("nan")), "inner_lr=nan: give a number"),
        (lambda: MAML(outer_lr=1e31), r"outer_lr=1e\+31: give a number up to 1e\+30"),
        (lambda: SinusoidDataModule(num_workers=129), "num_workers=129: each is a process"),
    ],
)
def test_numbers_that_nothing_could_be_computed_with_are_refused_at_once(make, words):
    with pytest.raises(BenchError, match=words):
        make()


def test_numbers_at_the_edge_are_taken():
    least, most = arguments.SEEDS
    for seed in (least, -1, 0, 2**63, most):
        model = MAML(seed=seed, spec={"kind": "regression", "input_shape": [1], "outputs": 1})
        model.configure_model()
        SinusoidDataModule(seed=seed).episodes("train", [0])
    MAML(inner_lr=0, outer_lr=1e30, inner_steps=arguments.MOST)
    SinusoidDataModule(num_workers=128)
