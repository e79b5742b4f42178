"""Malformed flags, configurations, records and checkpoints, one line each.

Every command must end in one clear message and exit code 2, with nothing changed on disk (the
fixture ``refused``). Malformed images are in ``images/layouts``, answers of students in
``students``; what a configuration may name is in ``test_lightning_cli.py``.
"""

import json
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from lightning import Trainer

from bench import MAML, SinusoidDataModule
from bench.algorithms.rasch import Rasch
from bench.data.irt import IRTDataModule
from bench.results import records
from bench.running import training
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.quiet import quiet

# Flags -------------------------------------------------------------------------------------------

ONE = "run quick --datasets sinusoid --algorithms maml"  # a grid of one run
STUDENT = "student --checkpoint none.ckpt --answers none.csv"
FLAGS = [
    ("", "the following arguments are required: COMMAND"),
    ("rnu quick", "invalid choice: 'rnu'"),
    ("run", "the following arguments are required: SUITE"),
    ("run quikc", "did you mean quick?"),
    ("run ../quick", "unknown suite '../quick'"),
    ("run quick --datasets ../glyphs", "suite quick has no data set '../glyphs'"),
    ("run quick --algorithms ../maml", "unknown algorithm '../maml'"),
    ("run quick --datasets sinusoid --algorithms", "expected at least one argument"),
    ("run quick --train-datasets omniglot", "--train-datasets: nothing in suite quick has sources"),
    ("run quick --datasets sinusoid --ways 3", "--ways 3: nothing here has classes"),
    ("run quick --launcher slrm --dry-run", "did you mean slurm?"),
    ("check-tutor --skills 9", "--skills 9: give 2 to 5"),
    ("check-tutor --students 0", "--students 0: give 1 or more"),
    ("table --across students quick --readme x.md", "--readme: goes with tables of suites"),
    ("run quick --jobs 0", "--jobs 0: give 1 or more"),
    ("run quick --jobs two", "invalid int value: 'two'"),
    ("run quick --seeds 1.5", "invalid int value: '1.5'"),
    ("run quick --shots many", "invalid int value: 'many'"),
    ("run quick --shots 0", "shots=0: give a whole number of at least 1"),
    ("run quick --shots -1", "shots=-1: give a whole number of at least 1"),
    ("run quick --datasets glyphs --ways 1", "ways=1: give a whole number of at least 2"),
    ("run quick --datasets glyphs --ways 0", "ways=0: give a whole number of at least 2"),
    ("run quick --checkpoint-every -1", "--checkpoint-every -1.0: give seconds above 0"),
    ("run quick --checkpoint-every nan", "--checkpoint-every nan: give seconds above 0"),
    ("run quick --checkpoint-every soon", "invalid float value: 'soon'"),
    ("run quick --out file/x", "cannot write to file/x (Not a directory)"),
    ("run quick --out file", "cannot write to file (Not a directory)"),
    ("run quick --set inner_lr", "--set inner_lr: write NAME=VALUE"),
    ("run quick --set =1", "--set =1: write NAME=VALUE"),
    ("run quick --set inner_lrr=1", "did you mean inner_lr?"),
    ("run quick --set fomamal.inner_lr=1", "nothing in suite quick has this argument"),
    ("run quick --set seed=1", "--set seed: use --seeds"),
    ("run quick --set ways=5", "--set ways: use --ways"),
    ("run quick --set iterations=-1", "iterations=-1: give a whole number of at least 0"),
    ("run quick --set iterations=long", "iterations='long': give a whole number"),
    ("run quick --set validations=0", "validations=0: give a whole number of at least 1"),
    (f"{ONE} --set inner_lr=fast", "inner_lr='fast': give a number"),
    (f"{ONE} --set inner_lr=nan", "inner_lr='nan': give a number"),
    (f"{ONE} --set inner_steps=-1", "inner_steps=-1: give a whole number of at least 0"),
    (f"{ONE} --set inner_steps=1.5", "inner_steps=1.5: give a whole number"),
    (f"{ONE} --set order=3", "order=3: give 1 or 2"),
    (f"{ONE} --set order=two", "order='two': give 1 or 2"),
    (f"{ONE} --set recompute=maybe", "recompute='maybe': give True or False"),
    (f"{ONE} --set outer_lr=-1", "outer_lr=-1: give a number above 0"),
    (f"{ONE} --set outer_lr=1e999", "outer_lr=inf: give a number up to 1e+30"),
    (f"{ONE} --set outer_lr=1{400 * '0'}", "00000: give a number"),
    (f"{ONE} --set inner_lr=-0.1", "inner_lr=-0.1: give a number of at least 0"),
    (f"{ONE} --set inner_lr=1e999", "inner_lr=inf: give a number up to 1e+30"),
    (f"{ONE} --set inner_lr=-1e999", "inner_lr=-inf: give a number up to 1e+30"),
    (f"{ONE} --set inner_steps=9999999999", "inner_steps=9999999999: give a whole number from"),
    (f"{ONE} --set test_episodes=9999999999", "test_episodes=9999999999: give a whole number"),
    (f"{ONE} --set iterations=1{60 * '0'}", "give a whole number from -2147483647 to 2147483647"),
    (f"{ONE} --set num_workers=1000", "num_workers=1000: each is a process: give 128 or fewer"),
    (f"{ONE} --seeds {2**64}", f"seed={2**64}: give a whole number from -9223372036854775808"),
    (f"{ONE} --seeds -{2**63 + 1}", f"to {2**64 - 1}"),
    (f"{ONE} --seeds 0 {5000 * '9'}", "invalid int value"),
    (f"run quick --datasets glyphs --set data_seed={2**64}", f"data_seed={2**64}: give a whole"),
    ("run students --datasets irt --algorithms dkt --set hidden=0", "hidden=0: give a whole"),
    (f"{ONE} --set tasks_per_batch=0", "tasks_per_batch=0: give a whole number of at least 1"),
    (f"{ONE} --set test_episodes=0", "test_episodes=0: give a whole number of at least 1"),
    (f"{ONE} --set num_workers=-1", "num_workers=-1: give a whole number of at least 0"),
    (f"{ONE} --set batch_norm=none", "batch_norm='none': Known: support, transductive"),
    (f"{ONE} --set engine=fast", "engine='fast': did you mean auto?"),
    (f"{ONE} --set model=3", "model=3: give a word or Module or None"),
    (f"{ONE} --set model_options=3", "model_options=3: give a dict"),
    (f"{ONE} --set model_options={{[]:1}}", "model_options='{[]:1}': give a dict"),
    (f"{ONE} --set model_options={{(1,2):3}}", "cannot be recorded (keys must be str"),
    (f"{ONE} --set model_options={{1:2j}}", "cannot be recorded ('complex' object"),
    (f"{ONE} --set inner_lr={20_000 * '-'}1", "---: give a number"),
    (f"{ONE} --out {300 * 'x'}", "File name too long): choose another folder"),
    (f"{ONE} --dry-run --out {300 * 'x'}", "File name too long: 'xxx"),
    (f"{ONE} --devices \u00b2", "devices='\u00b2'"),
    (f"{ONE} --set spec=3", "spec=3: give"),
    ("run omniglot-small --set augmentation=3", "augmentation=3: give a word or a list of words"),
    ("run omniglot-small --set augmentation=spin", "augmentation 'spin': Known: color"),
    ("run omniglot-small --set rotations=some", "rotations='some': choose none, train or all"),
    ("run omniglot-small --set split=mine", "split='mine': choose lake or vinyals"),
    ("run students --datasets irt --set tested_shots=[3,1]", "give rising whole numbers"),
    ("run students --datasets irt --set tested_shots=3", "tested_shots=3: give a list"),
    ("run students --datasets irt --set protocol=last", "protocol='last': Known: first, next"),
    ("run students --datasets irt --set hide_items=2", "hide_items=2: give a share"),
    ("tune quick --algorithms malm", "did you mean maml?"),
    ("tune quick --datasets sinusoids", "did you mean sinusoid?"),
    ("tune quick --checkpoint-every 0", "give seconds above 0"),
    ("list everything", "invalid choice: 'everything'"),
    ("prepare", "the following arguments are required: DATASET"),
    ("prepare omniglott", "did you mean omniglot?"),
    ("prepare ../omniglot", "unknown data '../omniglot'"),
    ("prepare omniglot --source nowhere", "nowhere: there is no such file or folder"),
    ("prepare mini_imagenet", "miniImageNet may not be passed on"),
    ("prepare cub --source nowhere", "nowhere: there is no such file or folder"),
    ("prepare cub --source . --data-root file/x", "file/x: cannot be written (Not a directory)"),
    ("table --out nowhere", "no records under nowhere"),
    ("table --format html", "invalid choice: 'html'"),
    ("reproduce nowhere.json", "nowhere.json: No such file or directory"),
    ("reproduce .", ".: Is a directory"),
    ("select", "the following arguments are required: --checkpoint"),
    ("select --checkpoint none.ckpt", "none.ckpt is no file: give a checkpoint"),
    ("select --checkpoint none.ckpt --questions 0", "--questions 0: give at least 1"),
    ("select --checkpoint none.ckpt --students 1", "--students 1: give at least 2"),
    ("student --checkpoint none.ckpt", "the following arguments are required: --answers"),
    (STUDENT, "none.ckpt is no file: give a checkpoint"),
    (f"{STUDENT} --columns user", "--columns user: write ROLE=NAME"),
    (f"{STUDENT} --target 0.8 0.6", "--target 0.8 0.6: give two chances from 0 to 1"),
    (f"{STUDENT} --mastery 2", "--mastery 2: give a chance between 0 and 1"),
    (f"{STUDENT} --certainty nan", "--certainty nan: give one between 0.5 and 1"),
    (f"{STUDENT} --questions 0", "--questions 0: give at least 1"),
    ("speed --rounds 0", "--rounds 0: give at least 1"),
    ("speed --workload nothing", "unknown workload 'nothing'"),
    ("speed --tasks 0", "--tasks 0: give at least 1"),
    ("speed --contestants nobody", "unknown contestant 'nobody'"),
    ("speed --peer-python x=", "--peer-python x=: write NAME=PYTHON"),
    ("speed --table --out nowhere", "no records under nowhere/speed"),
]


@pytest.mark.parametrize(("command", "words"), FLAGS, ids=[command[:99] for command, _ in FLAGS])
def test_flags(command, words, tmp_path, refused):
    (tmp_path / "file").write_text("in the way")
    refused(command, words)


# Configurations ----------------------------------------------------------------------------------

CONFIGURATIONS = [
    ("", "Unexpected config"),
    ("{", "Problems parsing config"),
    ("model: [MAML", "Problems parsing config"),
    ("\x00", "Problems parsing config"),
    ("&a [*a, *a]", "run.yaml: &a refers to itself"),
    ("- 1", "config"),
    ("just words", "config"),
    ("nonsense: 1", "nonsense"),
    ("trainer: {max_steps: x}", "max_steps"),
    ("trainer: {max_stepss: 1}", "max_stepss"),
    ("trainer: 3", "trainer: write names and values"),
    ("model: MALM", "MALM"),
    ("model: {class_path: MAML, init_args: {order: 3}}", "order"),
    ("model: {class_path: MAML, init_args: {inner_steps: -1}}", "inner_steps=-1: give a whole"),
    ("model: {class_path: MAML, init_args: 3}", "init_args"),
    ("model: {class_path: 3}", "class_path"),
    ("data: {class_path: SinusoidDataModule, init_args: {shots: 0}}", "shots=0: give a whole"),
    ("model: none.yaml", "none.yaml: there is no such file"),
    ("ckpt_path: none.ckpt", "none.ckpt is no file"),
    ("ckpt_path: .", ". is no file"),
    ("trainer: {devices: 0}", "Lightning refuses this"),
    ("trainer: {accelerator: gppu}", "Lightning refuses this"),
    ("trainer: {val_check_interval: -1}", "val_check_interval"),
    ("trainer: {limit_val_batches: 7.5}", "limit_val_batches"),
    ("trainer: {callbacks: [{class_path: EarlyStopping}]}", "monitor"),
    ("optimizer: {class_path: SGD, init_args: {lr: 0.1}}", "set model.outer_lr"),
    ("seed_everything: -5", "-5 is not in bounds"),
]


@pytest.mark.parametrize(("text", "words"), CONFIGURATIONS, ids=[t for t, _ in CONFIGURATIONS])
def test_configurations(text, words, tmp_path, refused):
    (tmp_path / "run.yaml").write_text(text)
    given = [f"--{n}" for n in ("model MAML", "data SinusoidDataModule") if n[:4] not in text[:4]]
    refused(f"fit {' '.join(given)} --trainer.accelerator cpu --config run.yaml", words)


# Records -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A record of four episodes, as text."""
    out = tmp_path_factory.mktemp("results")
    data = {"val_episodes": 4, "test_episodes": 4, "shots": 5}
    experiment = Experiment("tiny", "sinusoid", "maml", 2, 1, data=data)
    path = experiment.files(out).record
    records.write(path, training.train(experiment, out, machine=Machine("cpu"), progress=False))
    return path.read_text()


BROKEN = [
    (b"", "is not a JSON file"),
    (b"{", "is not a JSON file"),
    (b"\xff\xfe", "is not a JSON file"),
    (b"[" * 10**5, "is not a JSON file"),
    (b'{"schema": NaN}', "is not a JSON file (JSON is malformed: invalid character (byte 11))"),
    (b"null", ".json: must be an object, not null"),
    (b"[1]", ".json: must be an object, not a list"),
    (b'"schema"', ".json: must be an object, not text"),
    (b"{}", "schema is missing"),
    (b"1" * 5000, "is not a JSON file"),
]
VIEW = {"shots": 1, "episodes": 4, "metrics": {}, "recovery": {}}
CHANGED = [
    ("schema", 99, "schema is 99; this version reads 1"),
    ("schema", True, "schema must be a whole number, not true or false"),
    ("experiment", [], "experiment must be an object, not a list"),
    ("experiment.suite", "../../evil", "experiment.suite must be letters, digits"),
    ("experiment.suite", "/etc", "experiment.suite must be letters, digits"),
    ("experiment.suite", "", "experiment.suite must be letters, digits"),
    ("experiment.key", "../../../evil", "experiment.key must be letters, digits"),
    ("experiment.key", ".hidden", "experiment.key must be letters, digits"),
    ("experiment.key", "other", "experiment.suite and experiment.key say that this file belongs"),
    ("experiment.dataset", "../x", "experiment.dataset must be letters, digits"),
    ("experiment.algorithm", "a\x1b[31m", "experiment.algorithm must be letters, digits"),
    ("experiment.ways", "5", "experiment.ways must be a whole number or null, not text"),
    ("experiment.shots", -1, "experiment.shots must be a whole number >= 0"),
    ("experiment.shots", 10**400, "experiment.shots must be a whole number <= 9007199254740991"),
    ("experiment.shots", 2**53, "experiment.shots must be a whole number <= 9007199254740991"),
    ("experiment.seed", 0.5, "experiment.seed must be a whole number, not a number"),
    ("experiment.data", [], "experiment.data must be an object, not a list"),
    ("experiment.learner", None, "experiment.learner must be an object, not null"),
    ("chosen", "a\nb", "chosen holds control characters"),
    ("metrics", {}, "metrics.headline is missing"),
    ("metrics.headline", "../x", "metrics.headline must be letters, digits"),
    ("metrics.mse", [], "metrics.mse must be an object, not a list"),
    ("metrics.mse.mean", "x", "metrics.mse.mean must be a number or null, not text"),
    ("metrics.mse.per_step", [], "metrics.mse.per_step must be a list of length >= 1"),
    ("evaluation.episodes", 5, "evaluation.index has 4 entries for 5 episodes"),
    ("evaluation.index", [0, 0, 1, 2], "evaluation.index must hold different numbers"),
    ("evaluation.index", [-1, 0, 1, 2], "evaluation.index[0] must be a whole number >= 0"),
    ("evaluation.index", [[0], 1, 2, 3], "evaluation.index[0] must be a whole number, not a list"),
    ("evaluation.split", "best", "evaluation.split must be test or val"),
    ("evaluation.per_episode", {"mse": [1, 2]}, "per_episode.mse has 2 entries for 4 episodes"),
    (
        "evaluation.per_episode",
        {"mse": list("abcd")},
        "per_episode.mse[0] must be a number",
    ),
    (
        "evaluation.per_episode",
        {"mse": [9e299] * 4},
        "mse[0] must be a number < 1e+100",
    ),
    ("evaluation.views", [1], "evaluation.views[0] must be an object, not a whole number"),
    ("evaluation.views", [VIEW], "evaluation.views[0].metrics.mse is missing"),
    ("training.validation", [[1]], "training.validation[0] must be a list of length 2, not 1"),
    ("cost", {}, "cost.ms_per_iteration is missing"),
    ("provenance", {"device": "\x1b]0;x\x07"}, "provenance must hold plain words and numbers"),
]


def with_change(text, field, value):
    content = found = json.loads(text)
    *path, last = field.split(".")
    for name in path:
        found = found[name]
    found[last] = value
    return json.dumps(content).encode()


def put_record(tmp_path, record, content):
    key = json.loads(record)["experiment"]["key"]
    path = tmp_path / "results" / "runs" / "tiny" / f"{key}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path.relative_to(tmp_path)


@pytest.mark.parametrize(("content", "words"), BROKEN)
def test_files_that_are_no_records(content, words, record, tmp_path, refused):
    path = put_record(tmp_path, record, content)
    refused("table", words)
    refused(f"reproduce {path} --accelerator cpu", words)


@pytest.mark.parametrize(("field", "value", "words"), CHANGED)
def test_records(field, value, words, record, tmp_path, refused):
    put_record(tmp_path, record, with_change(record, field, value))
    refused("table", words)


REPRODUCED = [
    ("experiment.dataset", "os", "unknown data 'os'"),
    ("experiment.algorithm", "subprocess", "unknown algorithm 'subprocess'"),
    ("experiment.data", {"nonsense": 1}, "sinusoid has no argument 'nonsense'"),
    ("experiment.data", {"shots": "x"}, "shots='x': give a whole number"),
    ("experiment.learner", {"model": 5}, "model=5: give a word"),
    ("experiment.learner", {"order": [2]}, "order=[2]: give 1 or 2"),
    ("experiment.iterations", 3, "in this version what it names is"),
    ("experiment.shots", 7, "experiment.shots is 7, and not what experiment.data says (5)"),
    ("experiment.validations", 0, "validations=0: give a whole number of at least 1"),
]


@pytest.mark.parametrize(("field", "value", "words"), REPRODUCED)
def test_records_of_what_cannot_be_run(field, value, words, record, tmp_path, refused):
    path = put_record(tmp_path, record, with_change(record, field, value))
    refused(f"reproduce {path} --accelerator cpu", words)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"rows": []}', b'{"rows": [{"contestant": 3}]}', b"[" * 10**5]
)
def test_records_of_speed(content, tmp_path, refused):
    (tmp_path / "results" / "speed").mkdir(parents=True)
    (tmp_path / "results" / "speed" / "mini-order1.json").write_bytes(content)
    refused("speed --table", "mini-order1.json: not a record of maml-bench speed")


# Checkpoints -------------------------------------------------------------------------------------


class Payload:
    def __reduce__(self):
        return os.system, ("touch mark",)


def trained(learner, data, path):
    options = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    with quiet():
        trainer = Trainer(max_steps=1, accelerator="cpu", limit_val_batches=0, **options)
        trainer.fit(learner, datamodule=data)
        trainer.save_checkpoint(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A checkpoint of a model of students."""
    data = IRTDataModule(items=6, shots=2, queries=2, tasks_per_batch=2)
    return trained(Rasch(), data, tmp_path_factory.mktemp("models") / "rasch.ckpt")


@pytest.fixture(scope="module")
def sinusoid(tmp_path_factory):
    """A checkpoint of something else."""
    return trained(MAML(), SinusoidDataModule(), tmp_path_factory.mktemp("models") / "maml.ckpt")


def changed(**parts):
    """The checkpoint with other parts."""

    def make(whole, path):
        path.write_bytes(whole)
        torch.save(torch.load(path, weights_only=True) | parts, path)

    return make


def bytes_of(content):
    return lambda whole, path: path.write_bytes(content)


CHECKPOINTS = [
    (bytes_of(b""), "bad.ckpt is damaged, or no checkpoint"),
    (bytes_of(b"hello"), "bad.ckpt is damaged, or no checkpoint"),
    (bytes_of(b"PK\x03\x04" + bytes(100)), "bad.ckpt is damaged, or no checkpoint"),
    (bytes_of(pickle.dumps(Payload())), "bad.ckpt is damaged, or no checkpoint"),
    (bytes_of(pickle.dumps({"state_dict": {}})), "bad.ckpt is damaged, or no checkpoint"),
    (lambda whole, path: path.write_bytes(whole[:-50]), "bad.ckpt is damaged"),
    (lambda whole, path: path.write_bytes(whole[: len(whole) // 2]), "bad.ckpt is damaged"),
    (lambda whole, path: path.mkdir(), "bad.ckpt is no file"),
    (lambda whole, path: torch.save([1], path), "bad.ckpt is damaged, or no checkpoint"),
    (lambda whole, path: torch.save(torch.nn.Linear(1, 1), path), "only weights and plain data"),
    (changed(more=Payload()), "bad.ckpt is damaged, or no checkpoint"),
    (changed(state_dict=None), "bad.ckpt is damaged, or no checkpoint"),
    (changed(state_dict={"a": "b"}), "bad.ckpt is damaged, or no checkpoint"),
    (changed(hyper_parameters=[1]), "bad.ckpt is damaged, or no checkpoint"),
    (changed(state_dict={}), "does not fit"),
    (changed(state_dict={"net.own": torch.zeros(3)}), "does not fit"),
    (changed(algorithm=None), "bad.ckpt does not say which algorithm it is of"),
    (changed(algorithm="os.system"), "unknown algorithm 'os.system'"),
    (changed(algorithm="../rasch"), "unknown algorithm '../rasch'"),
    (changed(algorithm="dkt"), "bad.ckpt"),
    (changed(hyper_parameters={}), "bad.ckpt"),
    (changed(hyper_parameters={"spec": 3}), "spec=3: give TaskSpec or a dict"),
    (changed(hyper_parameters={"spec": {"kind": "x"}}), "do not fit the algorithm rasch"),
    (changed(hyper_parameters={"seed": "x"}), "bad.ckpt"),
    (changed(students=None), "is not of questions to students"),
    (changed(students=[1]), "its list of questions and skills is damaged"),
    (changed(students={"items": 3}), "its list of questions and skills is damaged"),
]


@pytest.mark.parametrize(("make", "words"), CHECKPOINTS, ids=[words for _, words in CHECKPOINTS])
def test_checkpoints(make, words, whole, tmp_path, refused):
    make(whole, tmp_path / "bad.ckpt")
    (tmp_path / "answers.csv").write_text("user_id,item_id,correct\na,1,1\n")
    refused("student --checkpoint bad.ckpt --answers answers.csv", words)
    assert not (tmp_path / "mark").exists()


def test_checkpoints_of_something_else(whole, sinusoid, tmp_path, refused):
    (tmp_path / "sinusoid.ckpt").write_bytes(sinusoid)
    (tmp_path / "rasch.ckpt").write_bytes(whole)
    (tmp_path / "answers.csv").write_text("user_id,item_id,correct\na,1,1\n")
    answers = "--answers answers.csv"
    refused(f"student --checkpoint sinusoid.ckpt {answers}", "but of regression")
    refused(f"student --checkpoint rasch.ckpt sinusoid.ckpt {answers}", "but of regression")
    refused("select --checkpoint sinusoid.ckpt", "says what data it was trained on")
    refused("select --checkpoint rasch.ckpt", "no test student has 10 questions to ask")
    sine = "--model MAML --data SinusoidDataModule --trainer.accelerator cpu"
    refused(f"test {sine} --ckpt_path rasch.ckpt", "built for tasks of")
    refused("test --model DKT --data IRTDataModule --ckpt_path rasch.ckpt", "built for tasks of")
    refused("test --model Rasch --data IRTDataModule --ckpt_path rasch.ckpt", "built for tasks of")


# Of a grid that runs -----------------------------------------------------------------------------


def test_the_record_of_another_key_is_not_taken_for_that_of_a_checkpoint(
    whole, record, tmp_path, refused
):
    key = json.loads(record)["experiment"]["key"]
    put_record(tmp_path, record, with_change(record, "experiment.dataset", "sinusoid"))
    folder = tmp_path / "results" / "checkpoints" / key
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_bytes(whole)
    refused(f"select --checkpoint {folder / 'best.ckpt'}", "was trained on tasks of")


# As real processes -------------------------------------------------------------------------------

PROCESSES = [
    ("run quikc", "did you mean quick?"),
    ("run quick --seeds one", "invalid int value: 'one'"),
    ("run quick --out broken.csv/x --dry-runn", "unrecognized arguments: --dry-runn"),
    ("list everything", "invalid choice: 'everything'"),
    ("speed --rounds 0", "--rounds 0: give at least 1"),
    ("table --out nowhere", "no records under nowhere"),
    ("reproduce broken.json", "broken.json is not a JSON file"),
    ("prepare mini_imagenet --source broken.zip", "broken.zip: damaged"),
    ("student --checkpoint broken.ckpt --answers broken.csv", "broken.ckpt is damaged"),
    ("fit --config broken.yaml", "os.system was not imported"),
]


@pytest.mark.slow
def test_real_processes(tmp_path):
    """Two at a time; each takes less than 15 s of a processor, however busy the machine is."""
    files = {"json": b"{", "zip": b"PK", "csv": b"", "ckpt": pickle.dumps(Payload())}
    files["yaml"] = b"trainer: {callbacks: [{class_path: os.system}]}"
    for suffix, content in files.items():
        (tmp_path / f"broken.{suffix}").write_bytes(content)
    before = sorted(tmp_path.rglob("*"))

    def run(command):
        command = [sys.executable, "-m", "bench", *command.split()]
        limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_CPU, (15, 15))}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, **limits)

    with ThreadPoolExecutor(2) as pool:
        for (_, words), done in zip(
            PROCESSES, pool.map(run, [command for command, _ in PROCESSES])
        ):
            assert done.returncode == 2, done
            assert words in done.stderr
            assert re.search("^maml-bench[a-z -]*: ", done.stderr, re.MULTILINE)
            assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


# What is no file ---------------------------------------------------------------------------------

NO_FILES = [
    ("results/runs/tiny/x.json", "table", "runs/tiny/x.json"),
    ("results/failed/tiny/x.json", "table", "failed/tiny/x.json"),
    ("results/speed/mini-order1.json", "speed --table", "speed/mini-order1.json"),
    ("x.json", "reproduce x.json", "x.json"),
    ("x.ckpt", "student --checkpoint x.ckpt --answers none.csv", "x.ckpt is no file"),
    ("x.ckpt", "test --model MAML --data SinusoidDataModule --ckpt_path x.ckpt", "x.ckpt is no"),
    ("data/omniglot.packed", "test --model MAML --data OmniglotDataModule", "omniglot.packed"),
    ("data/assist2009.answers.npz", "test --model Rasch --data Assist2009DataModule", "assist2009"),
    ("x.zip", "prepare cub --source x.zip", "x.zip: it is"),
    ("in/a/b.png", "prepare image_folder --source in", "b.png: cannot be read: it is"),
    ("readme.md", "table --format markdown --readme readme.md", "readme.md"),
]


@pytest.fixture
def at_once():
    """Fails where a test waits."""

    def fail(*_):
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize(("name", "command", "words"), NO_FILES, ids=[c for _, c, _ in NO_FILES])
def test_a_fifo_or_a_device_is_refused_at_once(
    make, name, command, words, record, tmp_path, refused, at_once
):
    if name == "readme.md":
        put_record(tmp_path, record, record.encode())
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    if name.startswith("in/"):  # enough classes for splits
        for label in "cdefgh":
            (path.parent.parent / label).mkdir()
            (path.parent.parent / label / "x.png").write_bytes(b"")
    refused(command, words)
