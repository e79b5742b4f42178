import json

import pytest

from bench.base.errors import BenchError
from bench.data.images import meta_dataset_spec as specs
from bench.data.images.meta_dataset_spec import ClassOfImages

PLAIN = {
    "name": "shapes",
    "classes_per_split": {"TRAIN": 2, "VALID": 0, "TEST": 1},
    "images_per_class": {"0": 7, "1": 8, "2": 9},
    "class_names": {"0": "circle", "1": "square", "2": "line"},
    "path": "/elsewhere",
    "file_pattern": "{}.tfrecords",
    "__class__": "DatasetSpecification",
}
ALPHABETS = {
    "name": "letters",
    "superclasses_per_split": {"TRAIN": 2, "VALID": 1, "TEST": 1},
    "classes_per_superclass": {"0": 2, "1": 3, "2": 1, "3": 2},
    "images_per_class": {str(i): 20 for i in range(8)},
    "superclass_names": {str(i): f"alphabet {i}" for i in range(4)},
    "class_names": {str(i): f"letter {i}" for i in range(8)},
    "path": "/elsewhere",
    "file_pattern": "{}.tfrecords",
    "__class__": "BiLevelDatasetSpecification",
}


def node(name, children=(), parents=()):
    return {"wn_id": name, "words": name, "children_ids": [*children], "parents_ids": [*parents]}


# animal has the leaf c below two of its children, as WordNet's nodes do
GRAPH = {
    "name": "tree",
    "split_subgraphs": {
        "TRAIN": [
            node("n9animal", ["n5cat", "n6pet"]),
            node("n5cat", ["n1a", "n3c"], ["n9animal"]),
            node("n6pet", ["n3c", "n2b"], ["n9animal"]),
            node("n1a", (), ["n5cat"]),
            node("n2b", (), ["n6pet"]),
            node("n3c", (), ["n5cat", "n6pet"]),
        ],
        "VALID": [node("n7", ["n4d"]), node("n4d", (), ["n7"])],
        "TEST": [node("n8e")],
    },
    "images_per_class": {
        "TRAIN": {"n9animal": 60, "n5cat": 40, "n6pet": 50, "n1a": 10, "n2b": 20, "n3c": 30},
        "VALID": {"n7": 5, "n4d": 5},
        "TEST": {"n8e": 6},
    },
    "class_names": {"0": "n1a", "1": "n2b", "2": "n3c", "3": "n4d", "4": "n8e"},
    "path": "/elsewhere",
    "file_pattern": "{}.tfrecords",
    "__class__": "HierarchicalDatasetSpecification",
}


def read(found):
    return specs.read(json.dumps(found), "spec.json")


def test_plain_classes():
    spec = read(PLAIN)
    assert spec.classes == {"train": [0, 1], "val": [], "test": [2]}
    assert spec.related is None
    assert (spec.names[2], spec.images[2]) == ("line", 9)


def test_super_classes():
    spec = read(ALPHABETS)
    assert spec.classes == {"train": [0, 1, 2, 3, 4], "val": [5], "test": [6, 7]}
    assert spec.related == {"train": [[0, 1], [2, 3, 4]], "val": [[5]], "test": [[6, 7]]}


def test_a_graph_gives_the_leaves_below_each_inner_node():
    spec = read(GRAPH)
    assert spec.graph
    assert spec.classes == {"train": [0, 1, 2], "val": [3], "test": [4]}
    # nodes in the order of their names: cat, pet, animal
    assert spec.related == {"train": [[0, 2], [1, 2], [0, 1, 2]], "val": [[3]], "test": []}
    assert [spec.images[i] for i in range(5)] == [10, 20, 30, 5, 6]


@pytest.mark.parametrize(
    ("base", "change", "words"),
    [
        (PLAIN, {"classes_per_split": {"TRAIN": 4}}, "VALID is missing"),
        (
            PLAIN,
            {"classes_per_split": {"TRAIN": 3, "VALID": 0, "TEST": 1}},
            "names for 3 classes, not",
        ),
        (PLAIN, {"classes_per_split": {"TRAIN": -1, "VALID": 3, "TEST": 1}}, "-1 is no count"),
        (ALPHABETS, {"classes_per_superclass": dict.fromkeys("0123", 10**9)}, "not for 4,000,000,"),
        (PLAIN, {"images_per_class": {"0": 7, "1": 0, "2": 9}}, "class 1 has no name, or no im"),
        (PLAIN, {"images_per_class": {"0": {"train": 4, "test": 3}}}, "pools of images"),
        (PLAIN, {"images_per_class": [7, 8, 9]}, "no specification of a source"),
        (PLAIN, {"class_names": None}, "no specification of a source"),
        (PLAIN, {"file_pattern": "{}_{}.tfrecords"}, "file_pattern is '{}_{}.tfrecords'"),
        (ALPHABETS, {"classes_per_superclass": {"0": 2}}, "1 is missing"),
        (GRAPH, {"split_subgraphs": {"TRAIN": [node("a", ["b"])]}}, "b is missing"),
        (
            GRAPH,
            {"split_subgraphs": {"TRAIN": [node("a", ["b"]), node("b", ["a"])]}},
            "the graph has a circle",
        ),
    ],
)
def test_what_is_wrong_is_named(base, change, words):
    with pytest.raises(BenchError, match=words) as caught:
        read(base | change)
    assert str(caught.value).startswith("spec.json: ")


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "[" * 100_000, "\x00"])
def test_no_specification(content):
    with pytest.raises(BenchError, match=r"^spec\.json: "):
        specs.read(content, "spec.json")


def test_plain_classes_are_written_as_meta_dataset_does():
    classes = [
        ClassOfImages("train", "circle", 7),
        ClassOfImages("train", "square", 8),
        ClassOfImages("test", "line", 9),
    ]
    assert json.loads(specs.written("shapes", classes, "/elsewhere")) == PLAIN


def test_super_classes_are_written_as_meta_dataset_does():
    splits = ["train"] * 5 + ["val"] + ["test"] * 2
    groups = [0, 0, 1, 1, 1, 2, 3, 3]
    classes = [
        ClassOfImages(split, f"letter {i}", 20, f"alphabet {group}")
        for i, (split, group) in enumerate(zip(splits, groups))
    ]
    assert json.loads(specs.written("letters", classes, "/elsewhere")) == ALPHABETS


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("aircraft", (70, 15, 15)),
        ("cu_birds", (140, 30, 30)),
        ("dtd", (33, 7, 7)),
        ("fungi", (994, 200, 200)),
        ("mscoco", (0, 40, 40)),
        ("omniglot", (883, 81, 659)),
        ("quickdraw", (241, 52, 52)),
        ("traffic_sign", (0, 0, 43)),
        ("vgg_flower", (71, 15, 16)),
    ],
)
def test_the_published_specifications(shared_data, name, sizes):
    file = shared_data("meta_dataset", "dataset_specs", f"{name}_dataset_spec.json")
    spec = specs.read(file.read_bytes(), file)
    assert tuple(map(len, spec.classes.values())) == sizes
    assert (spec.related is not None) == (name == "omniglot")
    if spec.related:  # an alphabet's characters have its name in theirs
        for groups in spec.related.values():
            for group in groups:
                assert len({spec.names[number].rsplit("-", 1)[0] for number in group}) == 1
        assert sum(map(len, spec.related.values())) == 50
