"""MAML's network without head and inner loop."""

import pytest
import torch

from bench.algorithms.maml import MAML
from bench.algorithms.nil import NIL

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_it_takes_the_class_of_the_largest_mean_cosine(make, images, by_hand, batch_norm):
    learner, episode = make("nil", batch_norm=batch_norm), images()
    predicted = learner.predict(episode)
    assert predicted.shape == (3, 1, 6, 3)
    for t in range(3):
        support, query = by_hand(learner, episode.support_x[t], episode.query_x[t])
        for q, outputs in zip(query, predicted[t, 0]):
            cosines = torch.stack([torch.cosine_similarity(q, s, dim=0) for s in support])
            wanted = [10 * cosines[episode.support_y[t] == c].mean() for c in range(3)]
            torch.testing.assert_close(outputs, torch.stack(wanted).detach())


@pytest.mark.parametrize("order", [1, 2])
def test_it_trains_as_maml(make, images, order):
    made = (make(name, inner_steps=2, order=order) for name in ("nil", "maml"))
    ours, theirs = (torch.autograd.grad(m.meta_step(images()), list(m.parameters())) for m in made)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs))


def test_a_network_that_maml_trained_is_tested_so(make, images, tmp_path):
    from lightning import Trainer

    maml = make("maml", inner_steps=3)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", default_root_dir=tmp_path, **quiet)
    trainer.strategy.connect(maml)
    trainer.save_checkpoint(tmp_path / "maml.ckpt")
    nil = NIL.load_from_checkpoint(tmp_path / "maml.ckpt").double()
    assert isinstance(nil, MAML)
    wanted = make("nil", inner_steps=3).predict(images())
    torch.testing.assert_close(nil.predict(images()), wanted)


def test_ones_own_examples_are_told_apart_in_the_same_way(make, images):
    learner, episode = make("nil"), images(tasks=1)
    predict = learner.adapt(episode.support_x[0], episode.support_y[0])
    wanted = learner.predict(episode)[0, 0].softmax(-1)
    torch.testing.assert_close(predict(episode.query_x[0]), wanted)
