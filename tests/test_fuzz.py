"""Readers of files from elsewhere, on random and on damaged input: an answer or a BenchError.

Deterministic and short, so that a change is not blamed for an old fault;
``pytest tests/test_fuzz.py --hypothesis-profile long`` looks for new ones.
"""

import contextlib
import gzip
import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.algorithms.rasch import Rasch
from bench.base import archives, safe_pickle, tfrecords
from bench.base.errors import BenchError
from bench.checks.speed import report
from bench.data import cifar_fs, image_folder, mini_imagenet, quickdraw, tiered_imagenet
from bench.data.images import layouts, packed, preparing
from bench.data.meta_dataset import MetaDatasetDataModule
from bench.data.students import prepared, responses
from bench.learning import learner_file
from bench.results import failed, records
from bench.results.schema import COST_FIELDS
from bench.running import resuming, suite_files
from bench.running.experiment import Experiment

BYTES = st.binary(max_size=300)


@st.composite
def damaged(draw, content):
    """Content with a few changes: bytes changed, left out, put in, repeated, cut off."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, max(len(content) - 1, 0)))
        last = first + draw(st.sampled_from([1, 1, 2, 4, 8, 100, 10**6]))
        kind = draw(st.sampled_from(["change", "flip", "drop", "insert", "repeat", "cut"]))
        if kind == "change":
            content[first:last] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "flip" and content:
            content[first] ^= 1 << draw(st.integers(0, 7))
        elif kind == "drop":
            del content[first:last]
        elif kind == "insert":
            content[first:first] = draw(BYTES)
        elif kind == "repeat":
            content[first:first] = content[first:last]
        elif kind == "cut":
            del content[first:]
    return bytes(content)


def either(*contents):
    """Random bytes, or one of the contents, damaged."""
    return st.one_of(BYTES, *map(damaged, contents))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def places(value, path=()):
    """The paths of all values in lists and dicts."""
    yield path
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*path, name))


@st.composite
def changed(draw, content):
    """A copy in which some value is another one, or missing."""
    content = json.loads(json.dumps(content))
    *path, last = draw(st.sampled_from([p for p in places(content) if p]))
    where = content
    for name in path:
        where = where[name]
    if draw(st.booleans()):
        where[last] = draw(JSON)
    else:
        del where[last]
    return json.dumps(content).encode()


def refused(call, *arguments):
    """Calls a reader; whatever it raises but a BenchError that names no object fails the test."""
    try:
        return call(*arguments)
    except BenchError as error:
        if " at 0x" in str(error):
            raise AssertionError(str(error)) from error


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Writes a file and gives its path."""
    folder = tmp_path_factory.mktemp("fuzz")

    def write(content, name="file"):
        (folder / name).write_bytes(content)
        return folder / name

    return write


# Answers of students -----------------------------------------------------------------------------


def sheet_files():
    """The same answers in an Excel sheet and a Parquet file, where these can be written."""
    rows = [{"user_id": "a", "item_id": "x", "correct": 1}, {"user_id": "b", "item_id": "y"}]
    excel, parquet = io.BytesIO(), io.BytesIO()
    with contextlib.suppress(ImportError):
        pd.DataFrame(rows).to_excel(excel, index=False)
        pd.DataFrame(rows).to_parquet(parquet)
    return [file.getvalue() for file in (excel, parquet) if file.getvalue()]


LONG = b"user_id,item_id,correct,skill_id,order_id\na,x,1,k_l,1\nb,x,0.5,,2\na,y,NA,m~~k,3\n"
ANSWERS = (
    LONG,
    gzip.compress(LONG),
    b"3\n1,2,3\n0,1,0\n0\n\n\n2\n4,4\n1,1\n",
    b"1,7\n1,2\n3,4_5\n0,1\n2,8\n1\n3\n1\n",
    b'fold,uid,questions,concepts,responses,selectmasks,is_repeat\n0,1,"1,2","3,4","0,1","1,-1","0,1"\n',
    b"id,a,b,c\n1,0,1,NA\n2,1,1,0\n",
    b"1\t0\t1\n0\t1\t\n",
    "user;frage\u00e9\nx;1\n".encode("latin-1"),
    b'sep=;\nitem;a;b\n"x\ny";1;0\n-2 x 4;0;\n',
    b"user_id,skill_id,correct,time\na,k;l,1,2024-05-01 10:00\na,k,1,9\nb,l,0,0:45\n",
    b'{"id": 1, "item": "x", "resp": 1}\n\n{"id": 2, "item": "y", "resp": null}\n',
    b'[{"user_id": 1, "item_id": [1, 2], "correct": true}]',
    *sheet_files(),
)
TOKENS = [
    b"user_id",
    b"correct",
    b"item_id",
    b"order_id",
    b"responses",
    b"concepts",
    b"uid",
    b"fold",
]
TOKENS += [
    b",",
    b"\n",
    b"\r",
    b'"',
    b";",
    b"\t",
    b"0",
    b"1",
    b"-1",
    b"1e308",
    b"NaN",
    b"99999999999",
]
TOKENS += [
    b"2024-01-01",
    b"0001-01-01T00:00:00+23:59",
    b"[1,2]",
    b"~~",
    b"_",
    b"\xff",
    b" ",
    b"x",
    b"\xe2\x80\xa8",
    b"sep=;",
    b"\x92",
    b"e\xcc\x88",
    b"time",
    b"resp",
    b"item",
    b"{",
    b"}",
    b"-2 x",
    b"0:45",
    b"|",
]
WORDS = st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join)


@given(st.one_of(WORDS, either(*ANSWERS)), st.one_of(st.none(), WORDS))
def test_answers(file, content, q_matrix):
    path = file(content, "answers")
    refused(responses.read, path, None, file(q_matrix, "q") if q_matrix is not None else None)
    refused(responses.read, path, {"correct": "x", "user_id": "user_id"})


@given(st.data())
def test_prepared_answers(file, tmp_path_factory, data):
    path = file(LONG, "answers")
    prepared.save(path.with_name("good.npz"), responses.read(path))
    content = data.draw(either(path.with_name("good.npz").read_bytes()))
    refused(prepared.load, file(content, "bad.npz"), "a set")


# Images ------------------------------------------------------------------------------------------


def png(seed, side=6, form="PNG", mode="RGB"):
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, form)
    return out.getvalue()


PICTURES = [png(0), png(0, mode="P"), png(0, mode="1"), png(0, form="JPEG"), png(0, form="GIF")]
PICTURES += [png(0, form="BMP"), png(0, form="TIFF"), png(0, form="WEBP"), png(0, form="PPM")]
PICTURES += [
    png(0, mode="RGBA"),
    png(0, mode="LA"),
    png(0, mode="I;16"),
    png(0, mode="CMYK", form="TIFF"),
]
PICTURES += [png(0, mode="F", form="TIFF"), png(0, mode="I", form="TIFF")]
PICTURES += [png(0, form="ICO"), png(0, form="TGA"), png(0, form="PCX"), png(0, form="JPEG2000")]


@given(either(*PICTURES))
def test_pictures(content):
    refused(preparing.resize, content, mini_imagenet.IMAGE_SET, "picture")


PICKLES = [
    {"image_data": np.zeros((2, 2, 2, 3), np.uint8), "class_dict": {"a": [0], "b": [1]}},
    {"data": np.zeros((2, 2, 2, 3), np.uint8, order="F"), "labels": [0, np.int64(1)]},
    (["a.png", "b.png"], [0, 1], {"x": 0, b"y": 1.5, "z": None}),
    [np.array(["a", "bc"]), np.array([True]), np.float32(1), {1: {2: {3: [[]]}}}, "\u00e9"],
]
PICKLED = [pickle.dumps(value, protocol) for value in PICKLES for protocol in range(6)]


@given(either(*PICKLED))
def test_pickles(content):
    refused(safe_pickle.load, content, "pickle")


EXAMPLES = [tfrecords.example({"image": [png(0)], "label": [300, 0]}) for _ in range(2)]
RECORDS = b"".join(tfrecords.written(EXAMPLES))


@given(either(RECORDS))
def test_records_of_tensorflow(content):
    def read(content):
        return [tfrecords.features(record, "file") for record in tfrecords.read(content, "file")]

    refused(read, content)


@given(either(*EXAMPLES))
def test_examples_of_tensorflow(content):
    refused(tfrecords.features, content, "file")


@given(st.data())
def test_caches(file, data):
    path = file(b"", "x.packed")
    classes = packed.ImageClasses.pack(np.zeros((2, 3, 4, 4, 1), np.uint8), ["train/a", "val/b"])
    packed.write(path, classes)
    refused(packed.read, file(data.draw(either(path.read_bytes())), "y.packed"), "remedy")


def ravi_csv():
    for split in ("train", "val", "test"):
        yield f"{split}.csv", f"filename,label\n{split}.png,{split}1\n".encode()
        yield f"images/{split}.png", png(len(split))


def ilsvrc():
    for n, split in enumerate(("train", "val", "test")):
        row = f"n0000000{n}00000001.jpg,n0000000{n}\n"
        yield f"{split}.csv", b"filename,label\n" + row.encode()
        yield f"n0000000{n}/n0000000{n}_7.JPEG", png(n)


def pickles(name, value):
    for split in ("train", "val", "test"):
        yield name.format(split), pickle.dumps(value, 2)


def libfewshot():
    for split in ("train", "val", "test"):
        yield f"{split}.pth", pickle.dumps(([f"{split}.png"], [0], {f"{split}1": 0}))
        yield f"images/{split}.png", png(len(split))


def closer_look():
    for n, split in enumerate(("base", "val", "novel")):
        lists = {
            "label_names": ["a", "b", "c"],
            "image_names": [f"/x/{n}.png"],
            "image_labels": [n],
        }
        yield f"{split}.json", json.dumps(lists).encode()
        yield f"all/{n}.png", png(n)


def records_of_classes():
    spec = {
        "classes_per_split": {"TRAIN": 1, "VALID": 1, "TEST": 1},
        "images_per_class": {"0": 2, "1": 2, "2": 2},
        "class_names": {"0": "a", "1": "b", "2": "c"},
    }
    yield "dataset_spec.json", json.dumps(spec).encode()
    for n in range(3):
        yield f"{n}.tfrecords", RECORDS


def hdf5():
    h5py = pytest.importorskip("h5py")
    for split in ("train", "val", "test"):
        out = io.BytesIO()
        with h5py.File(out, "w") as written:
            written.create_dataset(f"datasets/{split}1", data=np.zeros((2, 4, 4, 3), np.uint8))
        yield f"{split}_data.hdf5", out.getvalue()
        yield f"{split}_labels.json", json.dumps([f"{split}1"]).encode()


def folders():
    for n in range(6):
        yield f"kind{n}/{n}.png", png(n)
    splits = {"train": ["kind0", "kind1"], "val": ["kind2"], "test": ["kind3"]}
    yield "splits.json", json.dumps(splits).encode()


def cifar():
    names = {"fine_label_names": ["apple", "bear"], "coarse_label_names": ["fruit", "large"]}
    yield "cifar/meta", pickle.dumps(names)
    for name in ("train", "test"):
        batch = {"data": np.zeros((1, 3072), np.uint8), "fine_labels": [0], "coarse_labels": [0]}
        yield f"cifar/{name}", pickle.dumps(batch, 2)


def arrays():
    for name in ("ant", "bee", "cat", "dog", "emu", "owl"):
        yield f"{name}.npy", npy(np.zeros((2, 16), np.uint8))


def arrays_of_all_classes():
    out = io.BytesIO()
    np.savez(out, images=np.zeros((3, 2, 16), np.uint8), classes=np.array(["cat", "dog", "owl"]))
    yield "drawings.npz", out.getvalue()
    yield "splits.json", json.dumps({"train": ["cat"], "val": ["dog"], "test": ["owl"]}).encode()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def tiered():
    for split in ("train", "val", "test"):
        images = [np.frombuffer(png(n), np.uint8) for n in range(2)]
        labels = {"label_specific": [0, 1], "label_specific_str": [f"{split}0", f"{split}1"]}
        yield f"{split}_images_png.pkl", pickle.dumps(images)
        yield f"{split}_labels.pkl", pickle.dumps(labels)


TREES = {
    "ravi_csv": (mini_imagenet, ravi_csv),
    "ravi_class_folders": (mini_imagenet, ilsvrc),
    "cache_pickles": (
        mini_imagenet,
        lambda: pickles("mini-imagenet-cache-{}.pkl", PICKLES[0]),
    ),
    "label_pickles": (mini_imagenet, lambda: pickles("x_category_split_{}.pickle", PICKLES[1])),
    "torchmeta_hdf5": (mini_imagenet, hdf5),
    "closer_look_json": (mini_imagenet, closer_look),
    "libfewshot_cache": (mini_imagenet, libfewshot),
    "meta_dataset_records": (mini_imagenet, records_of_classes),
    "plain_folders": (image_folder, folders),
    "cifar100": (cifar_fs, cifar),
    "numpy_files": (quickdraw, arrays),
    "numpy_file": (quickdraw, arrays_of_all_classes),
    "png_pickles": (tiered_imagenet, tiered),
}


@pytest.mark.parametrize("layout", TREES)
@given(st.data())
def test_layouts(layout, data):
    """One file of a good source is another one."""
    dataset, write = TREES[layout]
    files = dict(write())
    name = data.draw(st.sampled_from(sorted(files)))
    files[name] = data.draw(either(files[name]))

    def file(name):
        return io.BytesIO(files[name])

    def stream(wanted):
        return ((n, files[n]) for n in wanted)

    def read(tree):
        found = layouts.detect(tree, dataset.IMAGE_SET.layouts)
        for number, content in found.stream():
            preparing.resize(content, dataset.IMAGE_SET, found.images[number].name)

    refused(read, archives.Tree(Path("source"), sorted(files), stream, file))


# Meta-Dataset ------------------------------------------------------------------------------------


def graph(split):
    """Two leaves below a root."""
    leaves = [{"wn_id": f"{split}{n}", "children_ids": []} for n in range(2)]
    return [{"wn_id": f"{split} root", "children_ids": [leaf["wn_id"] for leaf in leaves]}, *leaves]


NUMBERED = {
    "name": "made",
    "class_names": {str(n): f"{('TRAIN', 'VALID', 'TEST')[n // 2]}{n % 2}" for n in range(6)},
    "images_per_class": dict.fromkeys(map(str, range(6)), 2),
    "file_pattern": "{}.tfrecords",
}
SPECIFICATIONS = [
    {**NUMBERED, "classes_per_split": {"TRAIN": 2, "VALID": 2, "TEST": 2}},
    {
        **NUMBERED,
        "__class__": "BiLevelDatasetSpecification",
        "superclasses_per_split": {"TRAIN": 1, "VALID": 1, "TEST": 1},
        "classes_per_superclass": {"0": 2, "1": 2, "2": 2},
    },
    {
        **NUMBERED,
        "__class__": "HierarchicalDatasetSpecification",
        "split_subgraphs": {split: graph(split) for split in ("TRAIN", "VALID", "TEST")},
        "images_per_class": {s: {f"{s}0": 2, f"{s}1": 2} for s in ("TRAIN", "VALID", "TEST")},
    },
]


@pytest.mark.parametrize("kind", range(3))
@given(st.data())
def test_sources_of_meta_dataset(tmp_path_factory, kind, data):
    """A specification, a file of records, or what is in a record is another one."""
    folder = tmp_path_factory.getbasetemp() / f"sources{kind}" / "made"
    folder.mkdir(parents=True, exist_ok=True)
    spec = json.dumps(SPECIFICATIONS[kind]).encode()
    if (wrong := data.draw(st.sampled_from(["specification", "file", "record"]))) == "record":
        record = data.draw(either(EXAMPLES[0]))
        content = b"".join(tfrecords.written([record, EXAMPLES[1]]))
    else:
        content = data.draw(either(RECORDS)) if wrong == "file" else RECORDS
    if wrong == "specification":
        spec = data.draw(st.one_of(changed(SPECIFICATIONS[kind]), either(spec)))
    (folder / "dataset_spec.json").write_bytes(spec)
    for number in range(6):
        (folder / f"{number}.tfrecords").write_bytes(content if number % 2 else RECORDS)

    def read():
        fewest = {"min_ways": 2, "max_ways": 3, "max_support": 6, "side": 4}
        module = MetaDatasetDataModule(["made"], records=str(folder.parent), seed=0, **fewest)
        module.setup("fit")
        module.setup("test")
        for split in ("train", "val", "test"):
            module.episodes(split, np.arange(3))
        return module.checksum

    refused(read)


# Archives ----------------------------------------------------------------------------------------


def zip_of(compression):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("a/b.txt", b"hello" * 20)
        archive.writestr("c.txt", b"")
    return out.getvalue()


def tar_of(mode):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name in ("a/b.txt", "x" * 120):
            member = tarfile.TarInfo(name)
            member.size = 100
            archive.addfile(member, io.BytesIO(b"hello" * 20))
    return out.getvalue()


ARCHIVES = {
    "x.zip": [zip_of(zipfile.ZIP_STORED), zip_of(zipfile.ZIP_DEFLATED), zip_of(zipfile.ZIP_LZMA)],
    "x.tar": [tar_of("w")],
    "x.tar.gz": [tar_of("w:gz")],
    "x.tar.xz": [tar_of("w:xz")],
    "x.tar.bz2": [tar_of("w:bz2")],
}


@pytest.mark.parametrize("name", ARCHIVES)
@given(st.data())
def test_archives(name, data):
    def read(content):
        with archives.opened(Path(name), content) as tree:
            return dict(tree.stream(tree.names))

    refused(read, data.draw(either(*ARCHIVES[name])))


# Records and checkpoints -------------------------------------------------------------------------

RECORD = {
    "schema": 1,
    "experiment": {
        **{"suite": "tiny", "dataset": "sinusoid", "algorithm": "maml", "key": "k"},
        **{"ways": None, "shots": 1, "queries": 2, "seed": 0, "iterations": 3, "validations": 1},
        **{"data": {}, "learner": {}},
    },
    "synthetic": True,
    "chosen": "by hand",
    "metrics": {
        "headline": "mse",
        "higher_is_better": False,
        "mse": {"mean": 1.0, "ci95": None, "per_step": [1.0]},
    },
    "evaluation": {
        **{"episodes": 2, "split": "test", "index": [0, 1], "per_episode": {"mse": [1, 2]}},
        "views": [
            {
                **{"shots": 1, "episodes": 2, "recovery": {"x": 1.0}},
                "metrics": {"mse": {"mean": 1.0, "ci95": None, "per_step": [1.0]}},
            }
        ],
    },
    "training": {"iterations": 3, "seconds": 1.0, "best_iteration": None, "validation": [[1, 2]]},
    "cost": dict.fromkeys(COST_FIELDS, 1.0),
    "provenance": {"torch": "2"},
}


@given(st.one_of(changed(RECORD), either(json.dumps(RECORD).encode()), JSON.map(json.dumps)))
def test_records(file, content):
    path = file(content if isinstance(content, bytes) else content.encode(), "k.json")
    record = refused(records.read, path)
    if record is not None:  # what is let through can be tabulated
        from bench.results import summary, tables

        refused(tables.to_markdown, [record])
        refused(tables.to_csv, [record])
        refused(summary.summary, [record])


SUITE = {
    **{"name": "tiny", "description": "d", "seeds": [0, 1]},
    "studies": [
        {
            **{"dataset": "sinusoid", "iterations": 2, "validations": 1, "shots": [5]},
            "data": {"val_episodes": 2},
            "repeats": [{"queries": 3}],
            "learner": {"inner_lr": 0.01, "model_options": {"hidden": [3]}},
            "algorithms": {"maml": {"order": 1, "iterations": 3}, "random_init": {}},
        }
    ],
}


@given(st.one_of(changed(SUITE), either(yaml.safe_dump(SUITE).encode()), JSON.map(json.dumps)))
def test_suites(file, content):
    content = content if isinstance(content, bytes) else content.encode()

    def read():
        for experiment in suite_files.read(file(content, "suite.yaml")).experiments():
            experiment.key  # noqa: B018

    refused(read)


@given(st.one_of(changed({"key": "k", "message": "m", "again": True}), JSON.map(json.dumps), BYTES))
def test_notes_of_failures(tmp_path_factory, content):
    experiment = Experiment("tiny", "sinusoid", "maml", 1)
    out = tmp_path_factory.getbasetemp() / "failures"
    path = experiment.files(out).failure
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(failed.read, out, [experiment.fields])


SPEED = json.loads(
    sorted((Path(__file__).parents[1] / "results" / "speed").glob("*-order1*.json"))[0].read_text()
)


@given(st.one_of(changed(SPEED), JSON.map(json.dumps), BYTES))
def test_records_of_speed(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "speeds" / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "x-order1.json").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    refused(report.read_all, folder.parent)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """What a small checkpoint holds."""
    spec = {"kind": "answers", "input_shape": [2], "outputs": 1, "items": 3, "skills": 0}
    learner = Rasch(spec=spec)
    learner.configure_model()
    words = {"items": ["a", "b", "c"], "skills": [], "features": torch.zeros(3, 0)}
    return {
        "state_dict": learner.state_dict(),
        "hyper_parameters": dict(learner.hparams),
        "algorithm": "rasch",
        "students": words | {"known": 3, "shots": 2},
    }


@given(st.data())
def test_checkpoints(checkpoint, file, data):
    out = io.BytesIO()
    parts = dict(checkpoint)
    if data.draw(st.booleans()):
        parts[data.draw(st.sampled_from(sorted(parts)))] = data.draw(JSON)
    hyper_parameters = dict(checkpoint["hyper_parameters"])
    hyper_parameters[data.draw(st.sampled_from(sorted(hyper_parameters)))] = data.draw(JSON)
    if data.draw(st.booleans()):
        parts["hyper_parameters"] = hyper_parameters
    torch.save(parts, out)
    content = out.getvalue()
    if data.draw(st.booleans()):
        content = data.draw(damaged(content))
    path = file(content, "x.ckpt")
    refused(learner_file.load, path)
    name = resuming._file_name(7, content)
    assert resuming.find(file(content, name).parent, {}, lambda text: None) is None
    path.with_name(name).unlink()
