import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from lightning import Trainer

from bench.base.errors import BenchError, Interrupted
from bench.data.sinusoid import SinusoidDataModule
from bench.results import records
from bench.running import grid, resuming, training
from bench.running.experiment import Experiment
from bench.running.interruption import Signals
from bench.running.machine import Machine
from bench.running.ranks import World

OFTEN = Machine(accelerator="cpu", checkpoint_every=0)
# runs a grid in each folder that it is told, in a process of its own: imports cost more than runs
GRIDS = """
import os, sys
from pathlib import Path
from bench.cli import main as cli
from bench.running import probe, resuming, grid, training
from bench.results.schema import COST_FIELDS
from bench.cli.commands import run
from bench.running.experiment import Experiment
from bench.running.machine import Machine

cost = dict.fromkeys(COST_FIELDS, 1.0)
probe.measure = lambda build, **options: cost
grid.report = lambda *arguments: None  # which takes longer than the training
runs = [
    Experiment("tiny", "sinusoid", algorithm, 450, 3, data={"val_episodes": 20, "shots": 5},
               learner={"outer_schedule": "cosine"})
    for algorithm in ("maml", "fomaml")
]
print("ready", flush=True)
for out in map(str.strip, sys.stdin):
    child = os.fork()
    if not child:
        log = os.open(out + ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        run.run = lambda options, console: grid.run(
            runs, Path(out), console, Machine("cpu", checkpoint_every=0.05)
        )
        sys.exit(cli.main(["run", "quick"]))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def experiment(iterations=40, **changes):
    given = {"data": {"val_episodes": 10, "test_episodes": 20, "shots": 5}, "learner": {}}
    return Experiment("tiny", "sinusoid", "maml", iterations, 4, **given | changes)


def result(record):
    """What must not depend on interruptions."""
    return record["metrics"], record["evaluation"], record["training"]["validation"]


IDENTITY = experiment().fields | {"checksum of the data": None}


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


def test_stops_before_an_epoch_and_within_it(tmp_path, monkeypatch):
    """Lightning counts a meta-batch twice that was ready, and not begun, when it was written."""
    run = experiment(iterations=12)  # in epochs of three
    whole = training.train(run, tmp_path / "whole", machine=OFTEN, progress=False)
    save = resuming.Resume.on_train_batch_end
    for stop in (4, 6, 7, 8, 10, 12):

        def stopping(self, trainer, *arguments, stop=stop):
            if trainer.global_step == stop:
                raise PowerCut
            save(self, trainer, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(resuming.Resume, "on_train_batch_end", stopping)
            with pytest.raises(PowerCut):
                training.train(run, tmp_path / "out", machine=OFTEN, progress=False)
    record = training.train(run, tmp_path / "out", machine=OFTEN, progress=False)
    assert result(record) == result(whole)


def test_random_numbers_go_on_too(tmp_path):
    torch.manual_seed(1)
    state = {"seconds": 1.0, "random": torch.get_rng_state()}
    expected = torch.rand(3)
    resume = resuming.Resume(tmp_path, {}, 1, Signals(), World())
    resume.load_state_dict(state)
    resume.on_train_start(Trainer(logger=False, enable_checkpointing=False), None)
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
    path.with_name(resuming._file_name(99, content)).write_bytes(content)
    said = []
    assert resuming.find(path.parent, IDENTITY, said.append) == path
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
    path.rename(path.with_name(resuming._file_name(99, path.read_bytes())))
    said = []
    resuming.find(path.parent, IDENTITY, said.append)
    assert "it names other files than its own" in said[0]


def fill_disk(patch):
    """Half a checkpoint is written, then there is no more room."""
    save = torch.save

    def full(stored, file):
        if not isinstance(stored, dict) or "state_dict" not in stored:
            return save(stored, file)
        file.write(b"half")
        raise OSError(28, "No space left on device")

    patch.setattr(torch, "save", full)


def test_a_full_disk_keeps_what_was_there(undisturbed, tmp_path, monkeypatch):
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    before = checkpoints(tmp_path)
    with monkeypatch.context() as patch:
        fill_disk(patch)
        with pytest.raises(BenchError, match="cannot be written .*No space left.* make room"):
            training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    assert checkpoints(tmp_path) == before
    assert not list(tmp_path.glob("checkpoints/*/.*"))
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    assert result(record) == result(undisturbed)


def test_best_weights_are_those_of_the_checkpoint(undisturbed, tmp_path, monkeypatch):
    """Their file may be damaged, or of a later validation, which may come out otherwise."""
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    (best,) = tmp_path.glob("checkpoints/*/best.ckpt")
    best.write_bytes(best.read_bytes()[:100])
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False)
    assert result(record) == result(undisturbed)


def test_best_weights_of_an_earlier_run_do_not_count(undisturbed, tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints" / experiment().key
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_bytes(b"of another day")
    interrupted(experiment(), tmp_path, monkeypatch, 6)  # before the first validation
    said = []
    record = training.train(experiment(), tmp_path, machine=OFTEN, progress=False, say=said.append)
    assert [text[:11] for text in said] == ["going on af"]
    assert result(record) == result(undisturbed)


def test_refused_checkpoints_do_not_crowd_out_new_ones(undisturbed, tmp_path, monkeypatch):
    interrupted(experiment(), tmp_path / "there", monkeypatch, 25)
    (tmp_path / "there").rename(tmp_path / "here")
    for batch in (15, 18):
        interrupted(experiment(), tmp_path / "here", monkeypatch, batch)
    said = []
    record = training.train(
        experiment(), tmp_path / "here", machine=OFTEN, progress=False, say=said.append
    )
    assert all("moved since" in text for text in said[:-1])
    assert int(said[-1].split()[-1]) > 15
    assert result(record) == result(undisturbed)


@pytest.mark.parametrize("wrong", [["a"], {1: 2}, {"key": torch.ones(2)}, None])
def test_a_strange_checkpoint_gives_way_to_the_one_before(wrong, tmp_path, monkeypatch):
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    path = checkpoints(tmp_path)[-1]
    torch.save(torch.load(path, weights_only=True) | {resuming.KEY: wrong}, tmp_path / "bad")
    content = (tmp_path / "bad").read_bytes()
    path.with_name(resuming._file_name(99, content)).write_bytes(content)
    said = []
    assert resuming.find(path.parent, IDENTITY, said.append) == path
    assert len(said) == 1


def test_data_that_has_changed_meanwhile_is_named(tmp_path, monkeypatch):
    interrupted(experiment(), tmp_path, monkeypatch, 25)
    monkeypatch.setattr(SinusoidDataModule, "checksum", "new")
    said = []
    training.train(experiment(), tmp_path, machine=OFTEN, progress=False, say=said.append)
    assert len(said) == 2
    assert all("checksum of the data is None there, 'new' here" in text for text in said)


def test_an_epoch_of_one_meta_batch_is_stopped_too(tmp_path, monkeypatch):
    run = Experiment(
        "tiny", "sinusoid", "maml", 6, 6, data={"val_episodes": 10, "test_episodes": 20}
    )
    whole = training.train(run, tmp_path / "whole", machine=OFTEN, progress=False)
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        if split == "train" and 3 * len(index) in index:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, split, index)

    with monkeypatch.context() as patch:
        patch.setattr(SinusoidDataModule, "episodes", episodes)
        with pytest.raises(Interrupted):
            training.train(run, tmp_path / "out", machine=OFTEN, progress=False)
    assert 2 <= int(checkpoints(tmp_path / "out")[-1].name.split("-")[0]) <= 4
    said = []
    record = training.train(run, tmp_path / "out", machine=OFTEN, progress=False, say=said.append)
    assert "going on after iteration" in said[0]
    assert result(record) == result(whole)


def test_a_full_disk_is_tried_again_by_the_same_command(tmp_path, console, monkeypatch):
    monkeypatch.setattr("bench.running.probe.measure", lambda build, **options: None)
    with monkeypatch.context() as patch:
        fill_disk(patch)
        with pytest.raises(BenchError, match="cannot be written .*No space left"):
            grid.run([experiment()], tmp_path, console, Machine("cpu"))
    grid.run([experiment()], tmp_path, console, Machine("cpu"))
    assert "0 done, 1 to do" in console.export_text()


@pytest.mark.parametrize("blocked", ["checkpoints", "failed"])
def test_a_file_in_the_way_of_a_folder_is_named(blocked, tmp_path, console):
    (tmp_path / blocked).write_text("in the way")
    with pytest.raises(BenchError, match=rf"{blocked}.* cannot be"):
        grid.run([experiment()], tmp_path, console, Machine("cpu"))


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


@pytest.fixture
def run():
    """Runs a grid: ``run(out)`` to its end, ``run(out, number, after)`` until a signal."""
    with subprocess.Popen(
        [sys.executable, "-c", GRIDS],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"

        def run(out, number=None, after=0.0):
            process.stdin.write(f"{out}\n")
            process.stdin.flush()
            child = int(process.stdout.readline())
            if number:
                time.sleep(after)
                with suppress(ProcessLookupError):  # it has ended
                    os.kill(child, number)
            return int(process.stdout.readline())

        yield run
        process.kill()


def results(out):
    paths = out.glob("runs/tiny/*.json")
    return {path.name: result(records.read(path)) for path in paths}


@pytest.mark.slow
def test_thirty_kills(run, tmp_path):
    """Grids are killed at random moments, each until it is finished all the same."""
    began, whole = time.monotonic(), tmp_path / "whole"
    assert run(whole) == 0
    took = time.monotonic() - began
    assert len(results(whole)) == 2
    rng, killed, resumed = random.Random(0), 0, 0
    while killed < 30:
        out, code = tmp_path / f"after {killed} kills", None
        while code != 0:
            if killed < 30:
                number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                code = run(out, number, rng.uniform(0, took / 2))
            else:
                code = run(out)
            log = Path(f"{out}.log").read_text()
            # -2 and -15: the signal came where nothing was running that it could have harmed
            assert code in (0, -9, 130, 143, -2, -15), log
            killed += code != 0
            resumed += "going on after" in log
            results(out)  # whatever is there is whole
        assert results(out) == results(whole)
        assert not checkpoints(out)
    assert resumed > 5
