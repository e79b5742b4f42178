"""Every algorithm that trains goes on where it was stopped, bit for bit."""

import pytest

from bench.base import registry
from bench.running import training
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.tasks import kinds

OFTEN = Machine(accelerator="cpu", checkpoint_every=0)
TASKS, STOP = 2, 3  # of a meta-batch; the meta-batch at which the power goes
IMAGES = "bench.checks.device_cases:TinyGlyphs"
SIZES = {
    "sinusoid": {"shots": 5, "queries": 3},
    "tiny_glyphs": {"ways": 3, "queries": 2},
    "bkt": {"items": 12, "skills": 3, "shots": 4, "queries": 3},
}
SMALL = {"inner_steps": 2, "test_steps": 2, "outer_schedule": "cosine"}
TRAINED = [  # in more than one step
    name
    for name in registry.names("algorithms")
    if registry.declaration("algorithms", name).attributes["trains"]
    and not registry.declaration("algorithms", name).attributes["fits_directly"]
]


class PowerCut(BaseException):
    pass


@pytest.fixture(scope="module", autouse=True)
def tiny_glyphs():
    registry.add("data", IMAGES)
    yield
    del registry._outside["data", "tiny_glyphs"]


def experiment(algorithm):
    """A run of it on the first of three kinds of data that it is for."""
    fitting = {"regression": "sinusoid", "classification": "tiny_glyphs", "answers": "bkt"}
    dataset = next(d for kind, d in fitting.items() if kinds.fits(algorithm, kind))
    if algorithm == "maml_plus_plus":
        dataset = "tiny_glyphs"  # as it has a batch norm of its own
    known = registry.option_names("algorithms", algorithm)
    learner = {n: v for n, v in SMALL.items() if n in known}
    if dataset == "tiny_glyphs":
        learner["model_options"] = {"filters": 4}
    data = {"tasks_per_batch": TASKS, "val_episodes": 2, "test_episodes": 3} | SIZES[dataset]
    return Experiment("tiny", dataset, algorithm, 4, 2, data=data, learner=learner)


def train(run, out, said):
    record = training.train(run, out, machine=OFTEN, progress=False, say=said.append)
    weights = training.torch.load(run.files(out).checkpoints / "best.ckpt", weights_only=True)
    return record["metrics"], record["evaluation"], record["training"]["validation"], weights


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", TRAINED)
def test_it_goes_on_where_it_stopped(algorithm, tmp_path, monkeypatch):
    run, said = experiment(algorithm), []
    *undisturbed, weights = train(run, tmp_path / "a", said)
    cls = registry.load("data", run.dataset)
    draw = cls.episodes

    def episodes(self, split, index):
        if split == "train" and STOP * TASKS in index:
            raise PowerCut
        return draw(self, split, index)

    with monkeypatch.context() as patch:
        patch.setattr(cls, "episodes", episodes)
        with pytest.raises(PowerCut):
            train(run, tmp_path / "b", said)
    assert not said
    *resumed, again = train(run, tmp_path / "b", said)
    first = int(said.pop().removeprefix("going on after iteration "))
    assert STOP - 1 <= first <= STOP  # one meta-batch is fetched ahead
    assert not said
    assert resumed == undisturbed
    assert weights["state_dict"].keys() == again["state_dict"].keys()
    for name, value in weights["state_dict"].items():
        assert value.equal(again["state_dict"][name]), name
