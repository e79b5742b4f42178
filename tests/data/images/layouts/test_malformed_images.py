"""Malformed sets of images, one line each: all are refused by ``maml-bench prepare``.

Each case takes a good source, or none, makes one thing wrong with it, and says which words the
message must hold.
"""

import io
import json
import os
import pickle
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from bench.base import tfrecords

# What can be wrong with a source ------------------------------------------------------------------


def put(name, content):
    """Another content of a file, or a file more."""

    def change(source):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)

    return change


def drop(name):
    return lambda source: (source / name).unlink()


def edit(name, change):
    return lambda source: (source / name).write_bytes(change((source / name).read_bytes()))


def cut(name, kept=0.5):
    return edit(name, lambda content: content[: int(kept * len(content))])


def flip(name, at):
    return edit(name, lambda c: c[:at] + bytes([c[at] ^ 1]) + c[at + 1 :])


def edit_json(name, **changes):
    """Other values in a JSON file; None takes one out."""

    def change(content):
        content = json.loads(content) | changes
        return json.dumps({k: v for k, v in content.items() if v is not None}).encode()

    return edit(name, change)


def edit_pickle(name, **changes):
    return edit(name, lambda content: pickle.dumps(pickle.loads(content) | changes, protocol=2))


class Payload:
    def __reduce__(self):
        return os.system, ("touch mark",)


class Names:
    """A pickle that names a function of NumPy which reads files."""

    def __reduce__(self):
        return np.load, ("/etc/passwd", None, True)


def zip_of(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def zip_link():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("train/a/1.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


def tar_of(name, kind=tarfile.REGTYPE, content=b"x", mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, "/etc/passwd", len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def named(cases):
    """What a case is called: what is wrong is what the message says."""
    return ["-".join(part for part in case if isinstance(part, str)) for case in cases]


IMAGES = np.zeros((8, 84, 84, 3), np.uint8)
MANY = np.zeros((8, 84, 84, 3), np.float64)
RECORD = b"".join(tfrecords.written([b"\xff\xff\xff"]))
NO_IMAGE = b"".join(tfrecords.written([tfrecords.example({"label": [6]})]))
EMPTY = b"\x0a\x0d\x0a\x0b\x0a\x05image\x12\x02\x0a\x00"  # a list of no images
EMPTY = b"".join(tfrecords.written([EMPTY]))
PAYLOAD, NAMES = pickle.dumps(Payload()), pickle.dumps(Names())
CSV, PKL, PICKLE = (
    "val.csv",
    "mini-imagenet-cache-val.pkl",
    "miniImageNet_category_split_val.pickle",
)
PTH, SPEC, HDF5 = "val.pth", "dataset_spec.json", "miniimagenet/val_data.hdf5"
LIST = "miniimagenet/val_labels.json"
PNG, JPEG = "images/n0000000600000001.png", "ILSVRC/n00000006/n00000006_7.JPEG"
CLASS = "val/n00000006/n0000000600000001.png"

LAYOUTS = [
    # tables and images
    ("ravi_csv", drop(CSV), "but no val.csv"),
    ("ravi_csv", put(CSV, b""), "val.csv has the columns (none)"),
    ("ravi_csv", put(CSV, b"\xff\xfe\x00"), "val.csv"),
    ("ravi_csv", put(CSV, b"file,class\na.png,b\n"), "val.csv has the columns file, class"),
    ("ravi_csv", put(CSV, b"filename,label\n,n1\n"), "val.csv, line 2: filename or label is empty"),
    ("ravi_csv", put(CSV, b'filename,label\n"a\n'), "val.csv"),
    ("ravi_csv", put(CSV, b"filename,label\n../x.png,n1\n"), "val.csv, line 2: there is no"),
    ("ravi_csv", put(CSV, b"filename,label\n/etc/passwd,n1\n"), "val.csv, line 2: there is no"),
    ("ravi_csv", put(CSV, b"filename,label\na\x00b.png,n1\n"), "val.csv"),
    ("ravi_csv", edit(CSV, lambda c: c + c.split(b"\n")[1]), "is also in val.csv, line 2"),
    ("ravi_csv", edit(CSV, lambda c: c.replace(b"n00000006\n", b"n00000001\n")), "train and val"),
    ("ravi_csv", drop(PNG), "there is no images/n0000000600000001.png"),
    ("ravi_csv", put(PNG, b""), "n0000000600000001.png: not a whole image"),
    ("ravi_csv", put(PNG, b"<svg/>"), "n0000000600000001.png: not a whole image"),
    ("ravi_csv", cut(PNG), "n0000000600000001.png: not a whole image"),
    ("ravi_csv", flip(PNG, 20), "n0000000600000001.png: not a whole image"),
    ("ravi_class_folders", drop(JPEG), "among the 3 images of n00000006/"),
    ("ravi_class_folders", put(CSV, b"filename,label\nn0000000600000000.jpg,n00000006\n"), "no n"),
    ("easyfsl_csv", put(CSV, b"class_name,image_name\nn00000006,\n"), "is empty"),
    ("easyfsl_csv", put(CSV, b"class_name,image_name\nn00000006,x.JPEG\n"), "there is no x.JPEG"),
    # pickles
    ("cache_pickles", put(PKL, PAYLOAD), "val.pkl: this pickle wants posix.system"),
    ("cache_pickles", put(PKL, NAMES), "nothing in it was run; do not trust it"),
    ("cache_pickles", put(PKL, b""), "val.pkl: not a whole pickle"),
    ("cache_pickles", cut(PKL), "val.pkl: not a whole pickle"),
    ("cache_pickles", put(PKL, pickle.dumps([1])), "val.pkl: holds a list, not a dict"),
    ("cache_pickles", put(PKL, pickle.dumps({})), "val.pkl: has no 'image_data', but nothing"),
    ("cache_pickles", edit_pickle(PKL, image_data=[1]), "'image_data' is a list"),
    ("cache_pickles", edit_pickle(PKL, image_data=MANY), "'image_data' is float64"),
    ("cache_pickles", edit_pickle(PKL, image_data=IMAGES[0, 0]), "not uint8 [images, height"),
    ("cache_pickles", edit_pickle(PKL, image_data=IMAGES[..., :0]), "val"),
    ("cache_pickles", edit_pickle(PKL, image_data=IMAGES[..., [0] * 5]), "val"),
    ("cache_pickles", edit_pickle(PKL, class_dict=[1]), "'class_dict' is no dict of class"),
    ("cache_pickles", edit_pickle(PKL, class_dict={}), "'class_dict' has no class for image 0"),
    ("cache_pickles", edit_pickle(PKL, class_dict={"a": ["x"]}), "'class_dict' gives a the image"),
    ("cache_pickles", edit_pickle(PKL, class_dict={"a": [99]}), "the image 99 of 8"),
    ("cache_pickles", edit_pickle(PKL, class_dict={"a": [-1]}), "the image -1 of 8"),
    ("cache_pickles", edit_pickle(PKL, class_dict={"a": [0, 0]}), "has image 0 in a and a"),
    ("cache_pickles", edit_pickle(PKL, class_dict={"a": None}), "'class_dict' gives a the image"),
    ("category_split_pickles", put(PICKLE, PAYLOAD), "posix.system"),
    ("category_split_pickles", drop(PICKLE), "but no miniImageNet_category_split_val.pickle"),
    ("category_split_pickles", edit_pickle(PICKLE, labels=[1]), "not a list of 8 labels"),
    ("category_split_pickles", edit_pickle(PICKLE, labels="abcdefgh"), "not a list of 8 labels"),
    ("category_split_pickles", edit_pickle(PICKLE, data={}), "'data' is a dict"),
    ("category_split_pickles", put("other_val.pickle", b""), "several sets"),
    ("libfewshot_cache", put(PTH, PAYLOAD), "posix.system"),
    ("libfewshot_cache", put(PTH, pickle.dumps((1, 2))), "val.pth: not (file names, labels"),
    ("libfewshot_cache", put(PTH, pickle.dumps(([1], [2], 3))), "val.pth: not (file names, labels"),
    ("libfewshot_cache", put(PTH, pickle.dumps((["x"], [[]], {}))), "val.pth: not (file names"),
    (
        "libfewshot_cache",
        put(PTH, pickle.dumps((["/etc/passwd"], [1], {}))),
        "there is no /etc/pas",
    ),
    ("libfewshot_cache", put(PTH, pickle.dumps(([""], [1], {}))), "val.pth: there is no"),
    # HDF5
    ("torchmeta_hdf5", put(HDF5, b""), "val_data.hdf5: damaged"),
    ("torchmeta_hdf5", cut(HDF5), "val_data.hdf5: damaged"),
    ("torchmeta_hdf5", drop(HDF5), "but no val_data.hdf5"),
    ("torchmeta_hdf5", put(LIST, b"{"), "val_labels.json: not a JSON list"),
    ("torchmeta_hdf5", put(LIST, b"5"), "val_labels.json: not a JSON list"),
    ("torchmeta_hdf5", put(LIST, b'["n9"]'), "val_labels.json: lists 'n9', which is not in"),
    # lists in JSON
    ("closer_look_json", put("val.json", b"{"), "val.json: not the lists"),
    ("closer_look_json", put("val.json", b"[" * 10**5), "val.json: not the lists"),
    ("closer_look_json", drop("novel.json"), "but no novel.json"),
    ("closer_look_json", edit_json("val.json", image_names=None), "val.json: not the lists"),
    ("closer_look_json", edit_json("val.json", image_names=["a"]), "1 image_names, 8 image_labels"),
    ("closer_look_json", edit_json("val.json", image_labels=["x"] * 8), "val.json: not the lists"),
    ("closer_look_json", edit_json("val.json", image_labels=5), "val.json: not the lists"),
    ("closer_look_json", edit_json("val.json", image_names=["../x"] * 8), "there is no ../x"),
    # Meta-Dataset's records
    ("meta_dataset_records", put(SPEC, b"[]"), "dataset_spec.json: no specification of"),
    ("meta_dataset_records", edit_json(SPEC, class_names=None), "class_names is missing"),
    ("meta_dataset_records", edit_json(SPEC, class_names=[1]), "no specification of a source"),
    ("meta_dataset_records", edit_json(SPEC, classes_per_split={}), "TRAIN is missing"),
    (
        "meta_dataset_records",
        edit_json(SPEC, classes_per_split={"TRAIN": 5, "VALID": 2, "TEST": 10**12}),
        "names for 9 classes, not for 1,000,000,000,007 classes",
    ),
    (
        "meta_dataset_records",
        edit_json(SPEC, classes_per_split={"TRAIN": 5, "VALID": -2, "TEST": 6}),
        "-2 is no count",
    ),
    (
        "meta_dataset_records",
        edit_json(SPEC, images_per_class={"0": 3}),
        "class 1 has no name",
    ),
    ("meta_dataset_records", drop("6.tfrecords"), "there is no 6.tfrecords"),
    ("meta_dataset_records", cut("6.tfrecords", 0.9), "6.tfrecords: the record at byte"),
    ("meta_dataset_records", flip("6.tfrecords", 3), "6.tfrecords: no record at byte 0"),
    ("meta_dataset_records", flip("6.tfrecords", 200), "6.tfrecords: the record at byte 0 is da"),
    ("meta_dataset_records", put("6.tfrecords", RECORD * 4), "that is no tf.train.Example"),
    ("meta_dataset_records", put("6.tfrecords", NO_IMAGE * 4), "6.tfrecords, record 0: has no im"),
    ("meta_dataset_records", put("6.tfrecords", EMPTY * 4), "6.tfrecords, record 0: has no image"),
    # folders of classes
    ("class_folders", put(CLASS, b"GIF89a"), "n0000000600000001.png: not a whole image"),
    ("class_folders", put("other/train/a/1.png", b""), "several sets"),
    ("class_folders", put("val/n00000001/1.png", b""), "class 'n00000001' is in train and val"),
]


@pytest.mark.parametrize(("layout", "change", "words"), LAYOUTS)
def test_layouts(layout, change, words, few_images, written, tmp_path, refused):
    source = written(layout, few_images)
    change(source)
    refused(f"prepare mini_imagenet --source {source.name}", words)
    assert not (tmp_path / "mark").exists()


ARCHIVES = [
    ("a.zip", b"", "a.zip: damaged"),
    ("a.zip", b"PK\x03\x04", "a.zip: damaged"),
    ("a.zip", zip_of(), "no layout that is understood; it holds nothing"),
    ("a.zip", zip_of(readme=b"x"), "no layout that is understood; it holds readme"),
    ("a.zip", zip_of(**{"../../etc/x.png": b"x"}), "points out of the archive: do not trust it"),
    ("a.zip", zip_of(**{"/etc/x.png": b"x"}), "points out of the archive: do not trust it"),
    ("a.zip", zip_of(**{"C:\\x.png": b"x"}), "points out of the archive: do not trust it"),
    ("a.zip", zip_of(**{"..\\x.png": b"x"}), "points out of the archive: do not trust it"),
    ("a.zip", zip_link(), "holds a link, 'train/a/1.png': unpack it first"),
    ("a.tar", b"", "a.tar: damaged"),
    ("a.tar", tar_of("train/a/1.png")[:600], "a.tar: damaged"),
    ("a.tar", tar_of("../x.png"), "points out of the archive: do not trust it"),
    ("a.tar", tar_of("/x.png"), "points out of the archive: do not trust it"),
    ("a.tar", tar_of("x", tarfile.SYMTYPE, b""), "holds a link or a device, 'x'"),
    ("a.tar", tar_of("x", tarfile.LNKTYPE, b""), "holds a link or a device, 'x'"),
    ("a.tar", tar_of("x", tarfile.FIFOTYPE, b""), "holds a link or a device, 'x'"),
    ("a.tar.gz", b"\x1f\x8b", "a.tar.gz: damaged"),
    ("a.tar.gz", tar_of("x/1.png", mode="w:gz")[:-5], "a.tar.gz: damaged"),
    ("a.tar.xz", b"\xfd7zXZ\x00", "a.tar.xz: damaged"),
    ("a.tar.bz2", b"BZh9", "a.tar.bz2: damaged"),
    ("a.7z", b"7z", "neither a folder nor an archive"),
    ("a.csv", b"filename,label\n", "neither a folder nor an archive"),
]


@pytest.mark.parametrize(("name", "content", "words"), ARCHIVES)
def test_archives(name, content, words, tmp_path, refused):
    (tmp_path / name).write_bytes(content)
    refused(f"prepare mini_imagenet --source {name}", words)


def meta(**changes):
    names = {"fine_label_names": ["apple"], "coarse_label_names": ["fruit"]}
    return pickle.dumps(names | changes)


def batch(**changes):
    data = {"data": np.zeros((1, 3072), np.uint8), "fine_labels": [0], "coarse_labels": [0]}
    return pickle.dumps(data | changes)


CIFAR = [
    ({"meta": meta()}, "there is no train, but meta"),
    ({"meta": PAYLOAD, "train": batch(), "test": batch()}, "meta: this pickle wants posix.system"),
    ({"meta": b"", "train": batch(), "test": batch()}, "meta: not a whole pickle"),
    ({"meta": meta(), "train": PAYLOAD, "test": batch()}, "train: this pickle wants posix.system"),
    ({"meta": meta(), "train": batch(data=3), "test": batch()}, "'data' is not uint8 [images"),
    ({"meta": meta(), "train": batch(data=MANY), "test": batch()}, "'data' is not uint8 [images"),
    ({"meta": meta(), "train": batch(fine_labels=[]), "test": batch()}, "but not as many labels"),
    ({"meta": meta(), "train": batch(fine_labels=5), "test": batch()}, "but not as many labels"),
    ({"meta": meta(), "train": batch(fine_labels=[7]), "test": batch()}, "label 7 has no name"),
    ({"meta": meta(), "train": batch(fine_labels=[-9]), "test": batch()}, "label -9 has no name"),
    ({"meta": meta(fine_label_names=3), "train": batch(), "test": batch()}, "label 0 has no name"),
    ({"meta": meta(fine_label_names={}), "train": batch(), "test": batch()}, "label 0 has no na"),
    ({"meta": meta(), "train": batch(fine_labels=[1e999]), "test": batch()}, "label inf has no"),
    ({"meta": meta(), "train": batch(), "test": batch()}, "no images for"),
]


@pytest.mark.parametrize(("files", "words"), CIFAR)
def test_cifar(files, words, tmp_path, refused):
    for name, content in files.items():
        put(name, content)(tmp_path / "source")
    refused("prepare cifar_fs --source source", words)
    assert not (tmp_path / "mark").exists()


def splits(**lists):
    return put("splits.json", json.dumps(lists).encode())


FOLDERS = [
    ("image_folder", put("a/1.png", b""), "1 classes are too few for three splits"),
    ("image_folder", splits(train=["a"]), "no layout that is understood"),
    ("cub", put("cats/1.png", b""), "no layout that is understood"),
    ("cub", put("001.Black_footed_Albatross/1.png", b""), "has no images"),
    ("omniglot", put("a.png", b""), "no drawings of Omniglot in it"),
    ("omniglot", put("images_background/Greek/character01/0001_01.png", b""), "not the whole of"),
    ("omniglot", put("images_background.zip", b"x"), "images_background.zip: damaged"),
    ("mini_imagenet", lambda source: source.mkdir(), "it holds nothing"),
]


@pytest.mark.parametrize(("dataset", "change", "words"), FOLDERS)
def test_folders(dataset, change, words, tmp_path, refused):
    change(tmp_path / "source")
    refused(f"prepare {dataset} --source source", words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not {"),
        (b"[]", "not {"),
        (b'{"train": 5, "val": [], "test": []}', "not {"),
        (b'{"train": ["a", "a"], "val": ["b"], "test": ["c"]}', "'a' is listed twice"),
        (b'{"train": ["a"], "val": ["a"], "test": ["c"]}', "'a' is listed twice"),
        (b'{"train": ["../a"], "val": ["b"], "test": ["c"]}', "'../a' has no images"),
        (b'{"train": ["a"], "val": ["b"], "test": []}', "no images for test"),
    ],
)
def test_split_files(content, words, few_images, tmp_path, refused):
    for label, image in zip("abcabc", few_images.values()):
        put(f"{label}/{len(image)}.png", image)(tmp_path / "source")
    put("splits.json", content)(tmp_path / "source")
    refused("prepare image_folder --source source", words)


# Prepared caches ---------------------------------------------------------------------------------


def header(**changes):
    """The first line of a cache with other values, under a seal of its own."""
    from bench.data.images import packed

    def change(content):
        line, pixels = content.split(b"\n", 1)
        found = json.loads(line)
        del found["seal"]
        blocks = [int(block, 16) for block in found.pop("blocks")]
        return packed._seal(found | changes, blocks) + pixels

    return change


CACHES = [
    (lambda content: b"", "damaged: run prepare again"),
    (lambda content: b"\x00" * 100, "damaged: run prepare again"),
    (lambda content: content[: len(content) // 2], "damaged: run prepare again"),
    (lambda content: content + b"x", "damaged: run prepare again"),
    (lambda content: content[:-5] + b"xxxxx", "damaged: run prepare again"),
    (lambda content: content.replace(b"images 3", b"images 1"), "of another version"),
    (lambda content: content.replace(b"train/", b"trian/"), "damaged: run prepare again"),
    (lambda content: b"[" * 10**5, "damaged: run prepare again"),
    (header(shape=[1, 2]), "damaged: run prepare again"),
    (header(shape="x"), "damaged: run prepare again"),
    (header(shape=[-36, -84, 84, 3]), "damaged: run prepare again"),
    (header(shape=[6.0, 504.0, 84, 3]), "damaged: run prepare again"),
    (header(shape=[36, 84, 3, 84]), "was prepared with images of"),
    (header(count=[1]), "damaged: run prepare again"),
    (header(count=[4] * 8 + [10**9]), "damaged: run prepare again"),
    (header(count=[-4] + [4] * 7 + [12]), "damaged: run prepare again"),
    (header(names=3), "damaged: run prepare again"),
    (header(names=[3] * 9), "damaged: run prepare again"),
    (header(names=["train/a"] * 9), "damaged: run prepare again"),
]


@pytest.mark.parametrize(("change", "words"), CACHES, ids=named(CACHES))
def test_caches(change, words, few_images, written, tmp_path, refused):
    from bench.data import mini_imagenet

    mini_imagenet.prepare(written("class_folders", few_images), tmp_path / "data")
    edit("mini_imagenet.packed", change)(tmp_path / "data")
    command = "test --model MAML --data MiniImageNetDataModule --trainer.accelerator cpu"
    refused(f"{command} --data.ways 2 --data.queries 3", words)
