"""Ridge regression against torch's least squares of the stacked system."""

import pytest
import torch

from bench.algorithms.r2d2 import R2D2
from bench.base.errors import BenchError
from bench.learning import heads
from bench.tasks.episode import TaskSpec

pytestmark = pytest.mark.usefixtures("double")


def least_squares(support, y, strength):
    """``argmin |X W - Y|^2 + lambda |W|^2``: least squares of ``[X; sqrt(lambda) I]``."""
    width = support.shape[1]
    rows = torch.cat([support, strength.sqrt() * torch.eye(width)])
    targets = torch.cat([torch.eye(3)[y], torch.zeros(width, 3)])
    return torch.linalg.lstsq(rows, targets).solution


def regressed(learner, support, query, y):
    return learner.scale * query @ least_squares(support, y, learner.log_ridge.exp())


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_meta_gradient_equals_a_plain_loop(exact, images, batch_norm):
    exact("r2d2", regressed, images(), batch_norm=batch_norm, ridge=0.3)


def test_whole_numbers_are_numbers(exact, images):
    exact("r2d2", regressed, images(), ridge=1, scale=3)


@pytest.mark.parametrize("strength", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("width", [2, 40])
def test_the_closed_form_is_the_least_squares_solution(strength, width):
    x, y = torch.randn(4, 6, width), torch.randint(3, (4, 6))
    found = heads.ridge(x, y, None, 3, torch.tensor(strength))
    for weights, rows, targets in zip(found, x, y):
        wanted = least_squares(rows, targets, torch.tensor(strength))
        torch.testing.assert_close(weights, wanted, rtol=1e-8, atol=1e-10)


def test_rows_of_weight_zero_do_not_count():
    x, y = torch.randn(2, 6, 9), torch.randint(3, (2, 6))
    w = torch.tensor([1.0, 1, 1, 1, 0, 0]).expand(2, -1)
    ridge = torch.tensor(0.5)
    torch.testing.assert_close(
        heads.ridge(x, y, w, 3, ridge), heads.ridge(x[:, :4], y[:, :4], None, 3, ridge)
    )


def test_in_single_precision_it_is_solved_in_double(make, images):
    learner, episode = make("r2d2", ridge=1e-3), images()
    double = learner.predict(episode)
    single = learner.float().predict(
        episode._replace(support_x=episode.support_x.float(), query_x=episode.query_x.float())
    )
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-2, atol=1e-2)


def test_ridge_and_scale_learn_and_are_saved(make, images):
    learner = make("r2d2")
    learner.loss(images()).sum().backward()
    assert learner.log_ridge.grad.abs() > 0
    assert learner.scale.grad.abs() > 0
    assert {"log_ridge", "scale"} <= learner.state_dict().keys()


@pytest.mark.parametrize("options", [{"ridge": 0.0}, {"scale": -1.0}])
def test_impossible_numbers_are_named(options):
    with pytest.raises(BenchError, match=f"{next(iter(options))}=.*above 0"):
        R2D2(spec=TaskSpec("classification", (2, 8, 8), 3), **options)
