"""Writes the same images in every layout that people have miniImageNet in.

Where a layout holds files, they are the given files under its names; where it holds arrays, they
are what these files decode to. So every layout must give the same pixels, bit for bit.
"""

import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image

from bench.base import tfrecords

SPLITS = ("train", "val", "test")


def pixels(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def ravi_csv(images):
    for split in SPLITS:
        rows = [f"{name},{label}\n" for s, label, name in images if s == split]
        yield f"{split}.csv", ("filename,label\n" + "".join(rows)).encode()
    for (_, _, name), file in images.items():
        yield f"images/{name}", file


def ilsvrc(images, running):
    """ImageNet's names: its numbers only grow, and have no leading zeros."""
    rows = {split: [] for split in SPLITS}
    count = {}
    for (split, label, _), file in images.items():
        count[label] = count.get(label, 0) + 1
        name = f"{label}_{count[label] * 7}.JPEG"
        yield f"ILSVRC/{label}/{name}", file
        row = f"{label}{count[label]:08d}.jpg,{label}" if running else f"{label},{name}"
        rows[split].append(f"{row}\n")
    head = "filename,label\n" if running else "class_name,image_name\n"
    for split in SPLITS:
        yield f"{split}.csv", (head + "".join(reversed(rows[split]))).encode()


def stacked(images, split):
    own = [(label, pixels(file)) for (s, label, _), file in images.items() if s == split]
    return [label for label, _ in own], np.stack([image for _, image in own])


def cache_pickles(images, as_bytes):
    for split in SPLITS:
        labels, data = stacked(images, split)
        classes = {la: [i for i, x in enumerate(labels) if x == la] for la in set(labels)}
        cache = {"image_data": data, "class_dict": classes}
        if as_bytes:
            cache["class_dict"] = {la.encode(): ids for la, ids in classes.items()}
            cache = {key.encode(): value for key, value in cache.items()}
        name = "validation" if split == "val" and as_bytes else split
        yield f"mini-imagenet-cache-{name}.pkl", pickle.dumps(cache, protocol=2 + as_bytes)


def category_split(images):
    numbers = {label: i for i, label in enumerate(sorted({la for _, la, _ in images}))}
    for split in SPLITS:
        labels, data = stacked(images, split)
        content = {"data": data, "labels": [numbers[la] for la in labels]}
        name = "train_phase_train" if split == "train" else split
        path = f"miniImageNet_category_split_{name}.pickle"
        yield path, pickle.dumps(content, protocol=4)
    yield "miniImageNet_category_split_train_phase_val.pickle", pickle.dumps(content)


def hdf5(images):
    h5py = pytest.importorskip("h5py")
    for split in SPLITS:
        labels, data = stacked(images, split)
        file = io.BytesIO()
        with h5py.File(file, "w") as written:
            for label in sorted(set(labels)):
                own = data[[la == label for la in labels]]
                written.create_dataset(f"datasets/{label}", data=own)
        yield f"miniimagenet/{split}_data.hdf5", file.getvalue()
        yield f"miniimagenet/{split}_labels.json", json.dumps(sorted(set(labels))).encode()


def closer_look(images):
    names = sorted({label for _, label, _ in images})
    for split, list_name in zip(SPLITS, ("base", "val", "novel")):
        own = [(label, name) for s, label, name in images if s == split]
        content = {
            "label_names": names,
            "image_names": [f"/home/someone/filelists/all/{la}/{name}" for la, name in own],
            "image_labels": [names.index(label) for label, _ in own],
        }
        yield f"{list_name}.json", json.dumps(content).encode()
    for (_, label, name), file in images.items():
        yield f"all/{label}/{name}", file


def libfewshot(images):
    for split in SPLITS:
        own = [(label, name) for s, label, name in images if s == split]
        numbers = {la: i for i, la in enumerate(sorted({label for label, _ in own}))}
        cache = ([name for _, name in own], [numbers[la] for la, _ in own], numbers)
        yield f"{split}.pth", pickle.dumps(cache)
    for (_, _, name), file in images.items():
        yield f"images/{name}", file


def records(images):
    labels = list(dict.fromkeys((split, label) for split, label, _ in images))
    counts = {}
    for number, (split, label) in enumerate(labels):
        files = [file for (s, la, _), file in images.items() if (s, la) == (split, label)]
        counts[str(number)] = len(files)
        examples = [tfrecords.example({"image": [f], "label": [number]}) for f in files]
        yield f"{number}.tfrecords", b"".join(tfrecords.written(examples))
    sizes = {s.upper().replace("VAL", "VALID"): sum(x == s for x, _ in labels) for s in SPLITS}
    spec = {
        "name": "mini_imagenet",
        "classes_per_split": sizes,
        "images_per_class": counts,
        "class_names": {str(i): label for i, (_, label) in enumerate(labels)},
        "file_pattern": "{}.tfrecords",
    }
    yield "dataset_spec.json", json.dumps(spec).encode()


WRITERS = {
    "ravi_csv": ravi_csv,
    "ravi_class_folders": lambda images: ilsvrc(images, running=True),
    "easyfsl_csv": lambda images: ilsvrc(images, running=False),
    "cache_pickles": lambda images: cache_pickles(images, as_bytes=False),
    "cache_pickles_bytes": lambda images: cache_pickles(images, as_bytes=True),
    "class_folders": lambda images: (("/".join(key), file) for key, file in images.items()),
    "category_split_pickles": category_split,
    "torchmeta_hdf5": hdf5,
    "closer_look_json": closer_look,
    "libfewshot_cache": libfewshot,
    "meta_dataset_records": records,
}


@pytest.fixture(scope="session")
def few_images():
    """``{(split, class, file name): PNG}``: five, two and two classes of four images."""
    numbers = {"train": range(1, 6), "val": range(6, 8), "test": range(8, 10)}
    images = {}
    for split in SPLITS:
        for label in numbers[split]:
            for i in range(1, 5):
                drawn = np.random.default_rng([label, i]).integers(0, 256, (84, 84, 3), np.uint8)
                file = io.BytesIO()
                Image.fromarray(drawn).save(file, "PNG")
                images[split, f"n{label:08d}", f"n{label:08d}{i:08d}.png"] = file.getvalue()
    return images


@pytest.fixture
def written(tmp_path):
    """Writes images in a layout and gives the folder."""

    def write(layout, images):
        folder = tmp_path / layout
        for name, content in WRITERS[layout](images):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    return write
