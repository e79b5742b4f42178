import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning import Trainer

from bench import records, resuming, training
from bench.data.sinusoid import SinusoidDataModule
from bench.errors import BenchError, Interrupted
from bench.experiment import Experiment
from bench.interruption import Signals
from bench.machine import Machine
from bench.ranks import Ranks

OFTEN = Machine(accelerator="cpu", checkpoint_every=0)
SCRIPT = """
import sys
from pathlib import Path
from bench import probe, records, runner
from bench.experiment import Experiment
from bench.interruption import Signals
from bench.machine import Machine
from bench.ranks import Ranks
cost = dict.fromkeys(records.COST_FIELDS, 1.0)
probe.measure = lambda build: cost
grid = [
    Experiment("tiny", "sinusoid", algorithm, 150, 3, data={"val_episodes": 20, "shots": 5},
               learner={"outer_schedule": "cosine"})
    for algorithm in ("maml", "fomaml")
]
from bench import cli
from bench.commands import run
run.run = lambda options, console: runner.run(
    grid, Path(sys.argv[1]), console, Machine("cpu", checkpoint_every=0.05)
)
sys.exit(cli.main(["run", "quick"]))
"""


def experiment(**changes):
    given = {"data": {"val_episodes": 10, "test_episodes": 20, "shots": 5}, "learner": {}}
    return Experiment("tiny", "sinusoid", "maml", 40, 4, **given | changes)


def result(record):
    """What must not depend on interruptions."""
    return record["metrics"], record["evaluation"], record["training"]["validation"]


class PowerCut(BaseException):
    pass


def stop_at(monkeypatch, episode):
    """The training is gone, without a word, when it asks for this episode."""
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        if split == "train" and episode in index:
            raise PowerCut
        return draw(self, split, index)

    monkeypatch.setattr(SinusoidDataModule, "episodes", episodes)


def interrupted(run, out, monkeypatch, batch):
    with monkeypatch.context() as patch:
        stop_at(patch, batch * run.data_arguments["tasks_per_batch"])
        with pytest.raises(PowerCut):
            training.train(run, out, machine=OFTEN, progress=False, say=print)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return training.train(
        experiment(), tmp_path_factory.mktemp("out"), machine=OFTEN, progress=False
    )


# In the middle of an epoch, after its last meta-batch, and in the first one.
@pytest.mark.parametrize("batch", [25, 20, 3])
def test_a_run_goes_on_where_it_stopped(undisturbed, tmp_path, monkeypatch, batch):
    interrupted(experiment(), tmp_path, monkeypatch, batch)
    seen, said = [], []
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        seen.extend(index if split == "train" else ())
        return draw(self, split, index)

    monkeypatch.setattr(SinusoidDataModule, "episodes", episodes)
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False, say=said.append)
    assert result(record) == result(undisturbed)
    tasks = experiment().data_arguments["tasks_per_batch"]
    first = int(said[-1].split()[-1])
    assert said == [f"going on after iteration {first}"]
    assert batch - 2 <= first <= batch  # one is fetched ahead
    assert sorted(seen) == list(range(first * tasks, 40 * tasks))


def test_a_stop_while_testing_trains_nothing_again(undisturbed, tmp_path, monkeypatch):
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        if split == "test":
            raise PowerCut
        return draw(self, split, index)

    with monkeypatch.context() as patch:
        patch.setattr(SinusoidDataModule, "episodes", episodes)
        with pytest.raises(PowerCut):
            training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    with monkeypatch.context() as patch:
        stop_at(patch, 39 * 8)
        record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    assert result(record) == result(undisturbed)


def test_several_stops_in_one_run(undisturbed, tmp_path, monkeypatch):
    for batch in (4, 11, 12, 31, 39):
        interrupted(experiment(), tmp_path, monkeypatch, batch)
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    assert result(record) == result(undisturbed)


def test_random_numbers_go_on_too(tmp_path):
    torch.manual_seed(1)
    state = {"seconds": 1.0, "random": torch.get_rng_state()}
    expected = torch.rand(3)
    resume = resuming.Resume(tmp_path, {}, 1, Signals(), Ranks())
    resume.load_state_dict(state)
    resume.on_train_start(None, None)
    assert torch.equal(torch.rand(3), expected)
    assert resume.seconds >= 1


def checkpoints(out):
    return sorted(out.glob("checkpoints/*/*.resume"))


def test_two_checkpoints_are_kept(tmp_path, monkeypatch):
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    assert len(checkpoints(tmp_path)) == 2
    assert not list(tmp_path.glob("checkpoints/*/.*"))


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-100], lambda c: b"", lambda c: c[:500] + b"x" + c[501:]]
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    undisturbed, tmp_path, monkeypatch, damage
):
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    older, newer = checkpoints(tmp_path)
    newer.write_bytes(damage(newer.read_bytes()))
    said = []
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False, say=said.append)
    assert "damaged" in said[0]
    assert newer.name in said[0]
    assert said[1] == f"going on after iteration {int(older.name.split('-')[0])}"
    assert result(record) == result(undisturbed)


def test_a_checkpoint_of_another_run_is_refused_by_the_field_that_differs(
    undisturbed, tmp_path, monkeypatch
):
    other = experiment(learner={"inner_lr": 0.5})
    interrupted(other, tmp_path / "other", monkeypatch, 25)
    folder = tmp_path / "checkpoints" / experiment().key
    folder.mkdir(parents=True)
    for path in checkpoints(tmp_path / "other"):
        path.rename(folder / path.name)
    said = []
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False, say=said.append)
    assert len(said) == 2
    assert all("of another run: key is" in text for text in said)
    assert result(record) == result(undisturbed)


def test_a_checkpoint_is_read_without_running_it(tmp_path, monkeypatch):
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    path = checkpoints(tmp_path)[-1]

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({resuming.KEY: Payload()}, tmp_path / "bad")
    content = (tmp_path / "bad").read_bytes()
    path.with_name(resuming._name(99, content)).write_bytes(content)
    said = []
    assert resuming.find(path.parent, experiment().fields, said.append) == path
    assert "no checkpoint of this version" in said[0]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["best_model_path", "last_model_path", "kth_best_model_path"])
def test_a_checkpoint_cannot_name_files_elsewhere(name, tmp_path, monkeypatch):
    """Lightning would delete what it takes for an older checkpoint."""
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    path = checkpoints(tmp_path)[-1]
    (tmp_path / "mine").touch()
    stored = torch.load(path, weights_only=True)
    state = next(s for n, s in stored["callbacks"].items() if n.startswith("ModelCheckpoint"))
    state[name] = str(tmp_path / "mine")
    torch.save(stored, path)
    path.rename(path.with_name(resuming._name(99, path.read_bytes())))
    said = []
    resuming.find(path.parent, experiment().fields, said.append)
    assert "it names files outside of its folder" in said[0]


def test_a_full_disk_keeps_what_was_there(undisturbed, tmp_path, monkeypatch):
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    before = checkpoints(tmp_path)

    def full(self, path, *args, **kwargs):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save_checkpoint", full)
        with pytest.raises(BenchError, match="cannot be written .*No space left.* make room"):
            training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    assert checkpoints(tmp_path) == before
    assert not list(tmp_path.glob("checkpoints/*/.*"))
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    assert result(record) == result(undisturbed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_stops(undisturbed, tmp_path, monkeypatch, number, code):
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        if split == "train" and 15 * len(index) in index:
            os.kill(os.getpid(), number)
        return draw(self, split, index)

    seldom = Machine(accelerator="cpu", checkpoint_every=1000)
    with monkeypatch.context() as patch:
        patch.setattr(SinusoidDataModule, "episodes", episodes)
        with pytest.raises(Interrupted) as error:
            training.train(experiment(), tmp_path, machine=seldom, progress=False)
    assert error.value.code == code
    assert "run the same command again" in str(error.value)
    assert len(checkpoints(tmp_path)) == 1
    record = training.train(experiment(), tmp_path, machine=seldom, progress=False)
    assert result(record) == result(undisturbed)


# Real processes ----------------------------------------------------------------------------------


def start(out):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(out):
    process = start(out)
    said = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 0, said
    return {
        path.name: result(json.loads(path.read_text())) for path in out.glob("runs/tiny/*.json")
    }


def killed(out, number, rng, limit):
    """Starts the grid and kills it some time after its training has begun."""
    process = start(out)
    for line in process.stdout:
        if line.startswith(b"["):  # the first run starts
            break
    time.sleep(rng.uniform(0, limit))
    process.send_signal(number)
    said = process.communicate(timeout=120)[0].decode()
    # -2 and -15: the signal came where nothing was running that it could have harmed
    assert process.returncode in (-9, 130, 143, -2, -15, 0), said


def soak(tmp_path, kills):
    whole = ended(tmp_path / "whole")
    assert len(whole) == 2
    rng = random.Random(0)
    for _ in range(kills):
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        killed(tmp_path / "out", number, rng, 4.0)
        for path in tmp_path.glob("out/runs/tiny/*.json"):
            records.read(path)  # whatever is there is whole
    assert ended(tmp_path / "out") == whole
    assert not checkpoints(tmp_path / "out")


def test_three_kills(tmp_path):
    soak(tmp_path, 3)


@pytest.mark.slow
def test_thirty_kills(tmp_path):
    soak(tmp_path, 30)
