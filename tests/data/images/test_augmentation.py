import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from bench import BenchError, GlyphsDataModule
from bench.data.images.augmentation import COLOR, DRAWS, OPERATIONS, augment

INDEX = np.array([5, 123456789, 0])


def train(names, index=INDEX, **options):
    return GlyphsDataModule(ways=2, queries=2, augmentation=names, **options).episodes(
        "train", index
    )


def test_an_augmented_episode_depends_on_its_number_alone():
    torch.manual_seed(0)
    together = train(["crop", "flip", "color"])
    state = torch.random.get_rng_state()
    for row, number in enumerate(INDEX):
        alone = train(["color", "crop", "flip"], np.array([number]))
        assert torch.equal(together.support_x[row], alone.support_x[0])
        assert torch.equal(together.query_x[row], alone.query_x[0])
    assert torch.equal(state, torch.random.get_rng_state())
    other = train(["crop", "flip", "color"], seed=1)
    assert not torch.equal(other.query_x, together.query_x)


def test_labels_and_other_splits_stay():
    plain, changed = train([]), train(["crop"])
    assert torch.equal(plain.query_y, changed.query_y)
    assert not torch.equal(plain.query_x, changed.query_x)
    for split in ("val", "test"):
        a, b = (
            GlyphsDataModule(queries=2, augmentation=names).episodes(split, INDEX)
            for names in ([], ["crop", "flip", "color"])
        )
        assert torch.equal(a.query_x, b.query_x)


def test_every_image_is_changed_by_numbers_of_its_own():
    random = np.random.default_rng(0)
    u = random.uniform(size=(2, 3, DRAWS))
    images = torch.from_numpy(random.uniform(size=(2, 3, 3, 20, 30))).float()
    found = augment(images.clone(), list(OPERATIONS), u)
    for t in range(2):
        for row in range(3):
            top, left, mirror, *factors = u[t, row]
            image = F.pad(images[t, row], [3, 2])  # a tenth of either side
            top, left = int(top * 5), int(left * 7)
            image = image[:, top : top + 20, left : left + 30]
            if mirror < 0.5:
                image = image.flip(-1)
            brightness, contrast, saturation = (1 + COLOR * (2 * v - 1) for v in factors)
            image = (image * brightness).clamp(0, 1)
            image = F.adjust_saturation(F.adjust_contrast(image, contrast), saturation)
            assert torch.allclose(found[t, row], image, atol=1e-6)


def test_one_operation_does_not_change_the_draws_of_another():
    u = np.random.default_rng(0).uniform(size=(1, 8, DRAWS))
    images = torch.rand(1, 8, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    crop, flip, both = (
        augment(images.clone(), names, u) for names in (["crop"], ["flip"], ["flip", "crop"])
    )
    mirrored = torch.from_numpy(u[0, :, 2] < 0.5)
    assert 0 < mirrored.sum() < 8
    assert torch.equal(flip[0, mirrored], images[0, mirrored].flip(-1))
    assert torch.equal(both[0, mirrored], crop[0, mirrored].flip(-1))
    assert torch.equal(both[0, ~mirrored], crop[0, ~mirrored])


@pytest.mark.parametrize(
    ("names", "message"),
    [(["crops"], "did you mean crop"), ("crop", r"give a list, such as \['crop'\]")],
)
def test_what_is_no_operation_is_refused(names, message):
    with pytest.raises(BenchError, match=message):
        GlyphsDataModule(augmentation=names)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_gpu_gives_the_same_images():
    u = np.random.default_rng(0).uniform(size=(1, 8, DRAWS))
    images = torch.rand(1, 8, 3, 84, 84)
    here = augment(images.clone(), list(OPERATIONS), u)
    there = augment(images.cuda(), list(OPERATIONS), u).cpu()
    assert torch.allclose(here, there, atol=1e-5)
