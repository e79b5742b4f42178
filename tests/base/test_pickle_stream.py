import io
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from bench.base import pickle_stream
from bench.base.errors import BenchError


def png(seed):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


FILES = [png(i) for i in range(4)]


def arrays(columns=False):
    """As OpenCV gives them: one dimension, or one column in older versions."""
    flat = [np.frombuffer(f, np.uint8).copy() for f in FILES]
    return [array[:, None] for array in flat] if columns else flat


def read(content):
    return list(pickle_stream.image_files(io.BytesIO(content), "file"))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("columns", [False, True])
def test_images_come_in_their_order(protocol, columns):
    assert read(pickle.dumps(arrays(columns), protocol)) == FILES


def test_bytes_and_what_python_2_wrote():
    assert read(pickle.dumps(FILES)) == FILES
    # pickle.dumps([numpy.array([...], 'uint8')], 2) of Python 2 with NumPy 1
    size = len(FILES[0]).to_bytes(4, "little")
    content = (
        b"\x80\x02]q\x00cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q"
        b"\x03U\x01bq\x04\x87q\x05Rq\x06(K\x01J" + size + b"\x85q\x07cnumpy\ndtype\nq\x08U\x02u1q\t"
        b"K\x00K\x01\x87q\nRq\x0b(K\x03U\x01|q\x0cNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\rb"
        b"\x89T" + size + FILES[0] + b"q\x0etq\x0fba."
    )
    assert pickle.loads(content, encoding="latin1")[0].tobytes() == FILES[0]
    assert read(content) == FILES[:1]


def test_few_of_them_are_held(tmp_path):
    """A file of 60 MB is read with the first image at once, and without keeping any."""
    path = tmp_path / "x.pkl"
    large = [np.frombuffer(FILES[0] + bytes(100_000), np.uint8).copy() for _ in range(600)]
    path.write_bytes(pickle.dumps(large, 2))
    with path.open("rb") as file:
        first = next(pickle_stream.image_files(file, "file"))
        assert file.tell() < 2**20
    assert first.startswith(FILES[0])


def test_attacks_are_refused_or_hold_no_image(attacks, tmp_path):
    refused = []
    for name, content in attacks:
        try:
            assert read(content) == [], name
        except BenchError:
            refused.append(name)
    assert not list(tmp_path.iterdir())
    assert {"os.system", "eval", "in a key", "protocol 0", "persistent id", "torch"} < {*refused}


@pytest.mark.parametrize("protocol", range(6))
def test_attacks_among_images_are_refused(protocol, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'mark'}",)

    content = pickle.dumps([*arrays(), Attack()], protocol)
    with pytest.raises(BenchError, match="^file: this pickle has .*do not trust it"):
        read(content)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps(arrays())[:-60],
        b"\x80\x04\x8e" + (2**62).to_bytes(8, "little"),  # says that so many bytes follow
        b"\x80\x02T\xff\xff\xff\x7f",
        b"\x80\x02\x8b\xff\xff\xff\x7f",
    ],
)
def test_damage_is_named(content):
    with pytest.raises(BenchError, match="^file: not a whole pickle .*get it again"):
        read(content)
