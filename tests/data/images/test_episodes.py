"""Image episodes, on images that say which class and which image of it they are."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from bench.base.errors import BenchError
from bench.data.images.episodes import ImageClasses, ImageEpisodeDataModule, turn
from bench.tasks.data_module import SPLITS

CLASSES = {"train": range(12), "val": range(12, 20), "test": range(20, 30)}
COUNT = 9


class Labelled(ImageEpisodeDataModule):
    """Image i of class c is [[c, i], [0, 255]]."""

    image_shape = (1, 2, 2)

    def load(self, split):
        images = np.zeros((len(CLASSES[split]), COUNT, 2, 2, 1), np.uint8)
        images[:, :, 0, 0, 0] = np.asarray(CLASSES[split])[:, None]
        images[:, :, 0, 1, 0] = np.arange(COUNT)
        images[:, :, 1, 1, 0] = 255
        return ImageClasses.pack(images, [f"class {c}" for c in CLASSES[split]])


def make(**kwargs):
    return Labelled(**{"ways": 3, "shots": 2, "queries": 4, **kwargs})


def content(x):
    """Class and image numbers, ``[tasks, rows]`` each, of images that are not turned."""
    x = (255 * x).round().long()
    return x[:, :, 0, 0, 0], x[:, :, 0, 0, 1]


def same(a, b):
    return all(torch.equal(v, w) for v, w in zip(a, b) if v is not None)


def test_shapes_types_and_labels():
    e = make().episodes("train", np.arange(5))
    assert e.support_x.shape == (5, 6, 1, 2, 2)
    assert e.query_x.shape == (5, 12, 1, 2, 2)
    assert e.support_x.dtype == torch.float32
    assert e.support_x.is_contiguous()
    assert e.query_x.is_contiguous()
    assert e.support_y.tolist() == [[0, 0, 1, 1, 2, 2]] * 5
    assert e.query_y.tolist() == [[0] * 4 + [1] * 4 + [2] * 4] * 5
    assert e.support_y.dtype == torch.int64
    assert e.index.tolist() == [0, 1, 2, 3, 4]


def test_labels_stand_for_classes():
    e = make().episodes("train", np.arange(200))
    support, query = content(e.support_x)[0], content(e.query_x)[0]
    classes = support[:, ::2]  # of labels 0, 1, 2
    assert torch.equal(classes.gather(1, e.support_y), support)
    assert torch.equal(classes.gather(1, e.query_y), query)
    assert all(len(set(row)) == 3 for row in classes.tolist())


def test_support_and_query_are_disjoint_and_without_repeats():
    e = make().episodes("train", np.arange(200))
    seen = [torch.stack(content(x), -1) for x in (e.support_x, e.query_x)]
    for rows in torch.cat(seen, 1).tolist():
        assert len(set(map(tuple, rows))) == 18


@pytest.mark.parametrize("split", SPLITS)
def test_classes_come_from_the_split(split):
    classes, images = content(make().episodes(split, np.arange(200)).query_x)
    assert set(classes.flatten().tolist()) == set(CLASSES[split])
    assert set(images.flatten().tolist()) == set(range(COUNT))


def test_classes_and_images_are_drawn_evenly():
    classes, images = content(make().episodes("train", np.arange(2000)).support_x)
    for numbers, kinds in ((classes[:, ::2], 12), (images, COUNT)):
        counts = np.bincount(numbers.flatten().numpy(), minlength=kinds)
        expected = counts.sum() / kinds
        # Drawing without replacement only makes counts more even than chi-square allows for.
        assert ((counts - expected) ** 2 / expected).sum() < 32


@pytest.mark.parametrize("rotations", ["none", "train"])
def test_an_episode_does_not_depend_on_its_batch(rotations):
    data = make(rotations=rotations)
    together = data.episodes("train", np.arange(20))
    shuffled = np.random.default_rng(0).permutation(20)
    assert same(data.episodes("train", shuffled), (v[shuffled] for v in together if v is not None))
    for i in (0, 7, 19):
        alone = make(rotations=rotations).episodes("train", np.array([i]))
        assert same(alone, (v[i : i + 1] for v in together if v is not None))


def test_episodes_differ():
    x = make().episodes("train", np.arange(500)).query_x
    assert len(torch.unique(x.flatten(1), dim=0)) == 500


def test_only_training_depends_on_the_seed():
    a, b = (make(seed=seed) for seed in (0, 1))
    index = np.arange(10)
    assert not same(a.episodes("train", index), b.episodes("train", index))
    for split in ("val", "test"):
        assert same(a.episodes(split, index), b.episodes(split, index))


def test_global_generators_are_neither_read_nor_moved():
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state()
    first = make().episodes("train", np.arange(4))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[2] == np.random.RandomState(1).get_state()[2]
    torch.manual_seed(2)
    assert same(first, make().episodes("train", np.arange(4)))


def test_images_keep_their_values_and_channels():
    class Colours(ImageEpisodeDataModule):
        image_shape = (3, 4, 5)

        def load(self, split):
            self.images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 5, 3), np.uint8)
            return ImageClasses.pack(self.images, ["a", "b", "c"])

    data = Colours(ways=3, shots=2, queries=2)
    e = data.episodes("test", np.arange(1))
    assert e.support_x.shape == (1, 6, 3, 4, 5)
    got = torch.cat([e.support_x, e.query_x], 1)[0].movedim(1, -1)
    want = torch.from_numpy(data.images.reshape(12, 4, 5, 3)).float() / 255
    distance = torch.cdist(got.flatten(1), want.flatten(1))
    assert_close(distance.min(1).values, torch.zeros(12), atol=1e-5, rtol=0)
    assert sorted(distance.argmin(1).tolist()) == list(range(12))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_turn_is_rot90(dtype):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 2, 5, 5)).astype(dtype)
    quarters = np.array([[0, 1, 2, 3], [3, 3, 0, 1]])
    turned = turn(images.copy(), quarters)
    for t, w, r in np.ndindex(2, 4, 3):
        expected = np.rot90(images[t, w, r], quarters[t, w], axes=(1, 2))
        np.testing.assert_array_equal(turned[t, w, r], expected)


def test_rotations_make_new_classes():
    data = make(ways=48, rotations="train", shots=1, queries=1)
    x = (255 * data.episodes("train", np.arange(1)).support_x[0, :, 0]).round().int().numpy()
    kinds = set()
    for image in x:
        # Upright, the 255 is at the bottom right.
        quarters = {(1, 1): 0, (0, 1): 1, (0, 0): 2, (1, 0): 3}[tuple(np.argwhere(image == 255)[0])]
        kinds.add((int(np.rot90(image, -quarters)[0, 0]), quarters))
    assert kinds == {(c, q) for c in CLASSES["train"] for q in range(4)}


def test_rotated_support_and_query_agree():
    e = make(rotations="train").episodes("train", np.arange(50))
    corner = [x.flatten(2).argmax(2).reshape(50, 3, -1) for x in (e.support_x, e.query_x)]
    both = torch.cat(corner, 2)
    assert torch.equal(both, both[:, :, :1].expand_as(both))
    assert len(both.unique()) == 4


@pytest.mark.parametrize(("rotations", "turned"), [("none", 0), ("train", 1), ("all", 3)])
def test_which_splits_are_rotated(rotations, turned):
    data = make(rotations=rotations)
    upright = [
        bool((data.episodes(split, np.arange(50)).query_x[..., 1, 1] == 1).all())
        for split in SPLITS
    ]
    assert upright.count(False) == turned


def test_loader_gives_the_right_episodes():
    data = make(tasks_per_batch=4, iterations_per_epoch=3, val_episodes=6, test_episodes=8)
    for loader, split, sizes in (
        (data.train_dataloader(), "train", [4, 4, 4]),
        (data.val_dataloader(), "val", [6]),
        (data.test_dataloader(), "test", [8]),
        (data.predict_dataloader(), "test", [8]),
    ):
        batches = list(loader)
        assert len(loader) == len(sizes)
        assert [len(b.index) for b in batches] == sizes
        assert torch.cat([b.index for b in batches]).tolist() == list(range(sum(sizes)))
        for b in batches:
            assert same(b, data.episodes(split, b.index.numpy()))


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_workers_change_nothing():
    kwargs = {"tasks_per_batch": 2, "iterations_per_epoch": 4}
    alone, many = (list(make(num_workers=n, **kwargs).train_dataloader()) for n in (0, 2))
    assert len(alone) == len(many) == 4
    assert all(same(a, b) for a, b in zip(alone, many))


def test_classes_of_different_sizes():
    class Uneven(Labelled):
        def load(self, split):
            images = np.zeros((9, 2, 2, 1), np.uint8)
            images[:, 0, 0, 0] = [0, 0, 1, 1, 1, 2, 2, 2, 2]
            images[:, 0, 1, 0] = [0, 1, 0, 1, 2, 0, 1, 2, 3]
            starts, counts = np.array([0, 2, 5]), np.array([2, 3, 4])
            return ImageClasses(images, starts, counts, ["two", "three", "four"])

    e = Uneven(ways=3, shots=1, queries=1).episodes("train", np.arange(300))
    seen = {
        p
        for x in (e.support_x, e.query_x)
        for p in zip(*(v.flatten().tolist() for v in content(x)))
    }
    assert seen == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (2, 3)}
    with pytest.raises(BenchError, match=r"shots=1 \+ queries=2: class 'two' .* has 2 images only"):
        Uneven(ways=3, shots=1, queries=2).episodes("train", np.arange(1))


def test_too_many_ways():
    with pytest.raises(BenchError, match=r"ways=9: the val split of .* has 8 classes only"):
        make(ways=9).setup("fit")
    make(ways=9).setup("test")


def test_too_many_images():
    with pytest.raises(BenchError, match=r"shots=2 \+ queries=8: class 'class 0'"):
        make(queries=8).setup("fit")


@pytest.mark.parametrize(
    "wrong",
    [
        {"ways": 1},
        {"shots": 0},
        {"queries": 0},
        {"rotations": "some"},
        {"tasks_per_batch": 0},
        {"num_workers": -1},
        {"shots": 1.5},
    ],
)
def test_wrong_arguments_are_refused_by_name(wrong):
    with pytest.raises(BenchError, match=next(iter(wrong))):
        make(**wrong)


def test_spec():
    spec = make(ways=4).spec
    assert (spec.kind, spec.input_shape, spec.outputs) == ("classification", (1, 2, 2), 4)


# Which classes an episode has ---------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_class_numbers_are_those_of_the_split(split):
    data = make(rotations="none")
    e = data.episodes(split, np.arange(50))
    own = content(e.support_x)[0] - CLASSES[split][0]
    assert torch.equal(e.class_numbers.gather(1, e.support_y), own)
    assert data.class_count(split) == len(CLASSES[split])


def test_classes_that_are_turned_have_numbers_of_their_own():
    data = make(rotations="train")
    e = data.episodes("train", np.arange(200))
    assert data.class_count("train") == 4 * 12
    assert e.class_numbers.unique().tolist() == list(range(48))
    upright = e.class_numbers < 12
    corner = e.support_x[:, ::2, 0, 1, 1] == 1  # of the first image of each class, where 255 is
    assert torch.equal(upright, corner)


def test_class_numbers_do_not_hang_on_the_order_of_classes():
    classes = make().load("train")
    data = make()
    turned = classes._replace(start=classes.start[::-1], names=classes.names[::-1])
    data._classes["train"] = turned
    e = data.episodes("train", np.arange(20))
    own = content(e.support_x)[0]
    assert torch.equal(11 - e.class_numbers.gather(1, e.support_y), own)


# More ways in training than at test ---------------------------------------------------------


def test_training_may_have_more_ways():
    data = make(train_ways=8)
    assert data.spec == make().spec._replace(outputs=8, varying_ways=True)
    train, test = (data.episodes(split, np.arange(4)) for split in ("train", "test"))
    assert train.support_y.unique().tolist() == list(range(8))
    assert train.query_x.shape[1] == 8 * 4
    assert same(train, make(ways=8).episodes("train", np.arange(4)))
    assert same(test, make().episodes("test", np.arange(4)))


@pytest.mark.parametrize("train_ways", [None, 3])
def test_as_many_ways_in_training_change_nothing(train_ways):
    data = make(train_ways=train_ways)
    assert data.spec == make().spec
    assert same(data.episodes("train", np.arange(4)), make().episodes("train", np.arange(4)))


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        (1, "train_ways=1: give a whole number of at least 2"),
        (13, "train_ways=13: the train split"),
    ],
)
def test_impossible_ways_in_training_are_named(ways, words):
    with pytest.raises(BenchError, match=words):
        make(train_ways=ways).episodes("train", np.arange(1))
