"""Files of several arrays (``.npz``), read without running anything in them."""

import warnings
import zipfile
from pathlib import Path

import numpy as np

from bench.base.archives import MOST_BYTES_OF_A_FILE


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name.

    Raises:
        ValueError: if it is no such file, is damaged, holds something else than arrays of numbers
            and texts, or would unpack to more than there is.
        OSError: if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_BYTES_OF_A_FILE:
                raise ValueError(f"more than {MOST_BYTES_OF_A_FILE >> 30} GiB unpacked")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy, of a header that it repairs
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
    except OSError:
        raise
    except Exception as error:  # zipfile and numpy raise a dozen kinds
        raise ValueError(str(error) or type(error).__name__) from error
    if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{strange[0]} is no array")
    return arrays
