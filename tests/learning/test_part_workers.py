"""A meta-batch is shared out among processes, and its numbers do not show it."""

import os
import signal
import sys

import pytest
import torch
from lightning import Trainer
from torch import nn

from bench.algorithms.maml import MAML
from bench.base.errors import out_of_memory
from bench.data.glyphs import GlyphsDataModule
from bench.learning import meta_step
from bench.learning.part_workers import PartWorkers
from bench.tasks.episode import Episode, TaskSpec

TASKS = 7
SPEC = TaskSpec("classification", (1, 28, 28), 5)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are forked")


@pytest.fixture(autouse=True)
def _shared_out(monkeypatch):
    """Parts of two tasks, and threads as a test wants them."""
    monkeypatch.setattr(meta_step, "PART_BYTES", 100_000)
    monkeypatch.setattr(PartWorkers, "possible", staticmethod(lambda: True))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def made(engine="batched", filters=5, **options):
    learner = MAML(
        order=2, inner_steps=2, engine=engine, spec=SPEC, model_options={"filters": filters},
        **options,
    )  # fmt: skip
    learner.configure_model()
    return learner


def draw(seed=0):
    random = torch.Generator().manual_seed(seed)
    rows, y = (TASKS, 10), torch.arange(5).repeat(TASKS, 2)
    x = [torch.randn(*rows, 1, 28, 28, generator=random) for _ in range(2)]
    return Episode(x[0], y, x[1], y.flip(1))


def gradient(learner, episode):
    learner.zero_grad()
    loss = learner.meta_step(episode)
    loss.backward()
    flat = [p.grad.flatten() for p in learner.parameters()]
    return torch.cat([loss.detach()[None], *flat])


def workers(learner):
    shared_by = learner.meta_step._workers
    return 0 if shared_by is None else len(shared_by.connections)


@pytest.mark.parametrize("engine", ["batched", "recorded"])
def test_the_same_numbers_whatever_the_number_of_processes(engine):
    found = {}
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        learner = made(engine)
        values = []
        for seed in range(2):  # workers know the weights and the tasks of now
            values.append(gradient(learner, draw(seed)))
            with torch.no_grad():
                for p in learner.parameters():
                    p -= 0.1 * p.grad
        assert workers(learner) == threads - 1
        assert torch.get_num_threads() == threads
        found[threads] = torch.stack(values)
        learner.meta_step.close()
    assert torch.equal(found[1], found[2])
    assert torch.equal(found[1], found[3])
    assert not torch.equal(found[1][0], found[1][1])


def test_the_same_numbers_in_mixed_precision():
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        learner = made()
        values = [gradient(learner, draw())]
        with torch.autocast("cpu", torch.bfloat16):
            values.append(gradient(learner, draw()))
        values.append(gradient(learner, draw()))
        found[threads] = torch.stack(values)
    assert torch.equal(found[1], found[2])
    assert not torch.equal(found[2][0], found[2][1])
    assert torch.equal(found[2][0], found[2][2])


@pytest.mark.usefixtures("double")
def test_it_is_the_gradient_of_the_plain_loop():
    torch.set_num_threads(2)
    episode = Episode(
        *(v.double() if v is not None and v.is_floating_point() else v for v in draw())
    )
    learner = made()
    found = gradient(learner, episode)
    assert workers(learner) == 1
    plain = gradient(made("loop"), episode)
    assert (found - plain).norm() <= 1e-10 * plain.norm()


def test_tasks_of_several_shapes():
    episode, found = draw(), {}
    batch = [Episode(*(v if v is None else v[:4] for v in episode)), episode._replace(
        query_x=episode.query_x[:, :5], query_y=episode.query_y[:, :5])]  # fmt: skip
    for threads in (1, 3):
        torch.set_num_threads(threads)
        learner = made()
        found[threads] = gradient(learner, batch)
        assert workers(learner) == threads - 1
    assert torch.equal(found[1], found[3])


class Own(nn.Linear):
    """Says nothing of what else it depends on."""


@pytest.mark.parametrize(
    ("learner", "bytes_of_a_part"),
    [
        pytest.param(lambda: made("loop"), 100_000, id="loop"),
        pytest.param(lambda: made(recompute=True), 100_000, id="memory-is-short"),
        pytest.param(made, 2**30, id="small"),
        pytest.param(
            lambda: MAML(spec=SPEC, model=nn.Sequential(nn.Flatten(), Own(784, 5))), 100, id="own"
        ),
    ],
)
def test_what_is_not_shared_out(learner, bytes_of_a_part, monkeypatch):
    monkeypatch.setattr(meta_step, "PART_BYTES", bytes_of_a_part)
    torch.set_num_threads(2)
    one = learner()
    one.configure_model()
    gradient(one, draw())
    assert workers(one) == 0


def test_weights_set_free_later_are_learned():
    torch.set_num_threads(2)
    learner, plain = made(), made("loop")
    for one in (learner, plain):
        one.net.head.requires_grad_(False)
        one.meta_step(draw()).backward()
        one.net.head.requires_grad_(True)
    found, wanted = gradient(learner, draw()), gradient(plain, draw())
    assert (found - wanted).norm() <= 1e-2 * wanted.norm()


def test_a_worker_that_is_killed():
    torch.set_num_threads(2)
    learner = made()
    wanted = gradient(learner, draw())
    (pid,) = learner.meta_step._workers.processes
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(MemoryError, match="was killed") as caught:
        gradient(learner, draw())
    assert out_of_memory(caught.value)
    assert torch.equal(gradient(learner, draw()), wanted)  # others take its place


def test_what_goes_wrong_in_a_worker_is_said_here():
    torch.set_num_threads(2)
    learner = made()
    gradient(learner, draw())
    episode = draw()
    y = episode.query_y.clone()
    y[-1, 0] = 9  # the last part is a worker's; there are five classes
    with pytest.raises(IndexError, match="Target 9 is out of bounds"):
        gradient(learner, episode._replace(query_y=y))
    gradient(learner, draw())


def test_workers_end_with_the_fit():
    def running(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    torch.set_num_threads(2)
    learner = made()
    gradient(learner, draw())
    (pid,) = learner.meta_step._workers.processes
    assert running(pid)
    learner.on_fit_end()
    assert not running(pid)


def fit(threads, folder, steps, checkpoint=None, **trainer):
    torch.set_num_threads(threads)
    data = GlyphsDataModule(ways=5, shots=1, queries=3, tasks_per_batch=6)
    learner = MAML(order=2, inner_steps=1, inner_lr=0.1, model_options={"filters": 6})
    made_trainer = Trainer(
        max_steps=steps, accelerator="cpu", default_root_dir=folder, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        limit_val_batches=0, **trainer,
    )  # fmt: skip
    seen = []
    inner = PartWorkers.__call__

    def noted(workers, *arguments):
        seen.append(len(workers.connections))
        return inner(workers, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartWorkers, "__call__", noted)
        made_trainer.fit(learner, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if threads > 1:
        assert set(seen) == {threads - 1}
    return made_trainer, torch.cat([p.detach().flatten() for p in learner.parameters()])


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*You're resuming from")
def test_under_a_trainer_clipped_accumulated_and_resumed(tmp_path):
    options = {"gradient_clip_val": 0.1, "accumulate_grad_batches": 2}
    _, alone = fit(1, tmp_path, 4, **options)
    _, shared = fit(2, tmp_path, 4, **options)
    assert torch.equal(alone, shared)
    trainer, _ = fit(2, tmp_path, 2, **options)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    _, resumed = fit(2, tmp_path, 4, checkpoint=tmp_path / "half.ckpt", **options)
    assert torch.equal(alone, resumed)
