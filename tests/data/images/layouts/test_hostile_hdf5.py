"""HDF5 files that lead elsewhere, or that would unpack to more than there is."""

import numpy as np
import pytest

from bench.base import archives
from bench.base.errors import BenchError
from bench.data.images.layouts import torchmeta_hdf5

h5py = pytest.importorskip("h5py")


def outside_link(group, other):
    group["n01"] = h5py.ExternalLink(str(other), "/datasets/n01")


def soft_link(group, other):
    group["n01"] = h5py.SoftLink("/elsewhere")


def external_bytes(group, other):
    group.create_dataset("n01", (1, 2, 2, 3), "u1", external=[(str(other), 0, 12)])


def virtual(group, other):
    layout = h5py.VirtualLayout((1, 2, 2, 3), "u1")
    layout[:] = h5py.VirtualSource(str(other), "datasets/n01", (1, 2, 2, 3))
    group.create_virtual_dataset("n01", layout)


@pytest.mark.parametrize("attack", [outside_link, soft_link, external_bytes, virtual])
def test_other_files_are_not_read(attack, tmp_path):
    other = tmp_path / "other"
    with h5py.File(other, "w") as file:
        file.create_dataset("datasets/n01", data=np.zeros((1, 2, 2, 3), np.uint8))
    with h5py.File(tmp_path / "train_data.hdf5", "w") as file:
        attack(file.create_group("datasets"), other)
    content = (tmp_path / "train_data.hdf5").read_bytes()
    with pytest.raises(BenchError, match="train: datasets/n01 is .*: do not trust it"):
        torchmeta_hdf5.images(content, "train")


def test_bombs_are_refused(tmp_path):
    with h5py.File(tmp_path / "x", "w") as file:  # a few bytes, since nothing was written
        file.create_dataset("datasets/n01", (10**9, 84, 84, 3), "u1", chunks=(1, 84, 84, 3))
    content = (tmp_path / "x").read_bytes()
    assert len(content) < 10**5 < archives.MOST_BYTES_OF_A_FILE
    with pytest.raises(BenchError, match="train: more than 2 GiB unpacked"):
        torchmeta_hdf5.images(content, "train")
