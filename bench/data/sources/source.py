"""One source of Meta-Dataset: a folder of records, from which single images are read."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from bench.base import regular_files, tfrecords
from bench.base.errors import BenchError
from bench.data.images import decoding
from bench.data.images import meta_dataset_spec as specs
from bench.data.images.meta_dataset_spec import Spec

KEPT_BYTES = 2**28  # of decoded images, which take some tenths of a millisecond each


class Source:
    """The classes of a source, each in a file of its own, ``<number>.tfrecords``.

    Nothing is unpacked: an image is read, checked against its checksum and decoded when an episode
    asks for it, and the latest few are kept. So a source may be of any size.

    Args:
        folder: with ``dataset_spec.json``.
        side: pixels of a side, to which images are resized.
        remedy: what to do if it is not there, as the end of a message.
    """

    def __init__(self, folder: Path, side: int, remedy: str):
        self.folder, self.side, self.remedy = Path(folder), side, remedy
        self._places: dict[int, np.ndarray] = {}
        self._decoded: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def spec(self) -> Spec:
        """What the source says of itself.

        Raises:
            BenchError: if it is not there, or not what it should be.
        """
        file = self.folder / specs.FILE
        try:
            return specs.read(regular_files.read_bytes(file), file)
        except OSError as error:
            raise BenchError(f"{file}: {error.strerror}: {self.remedy}") from None

    def check(self, split: str) -> None:
        """Makes sure that the file of every class of a split is there.

        Raises:
            BenchError: names the first that is not, and says how many.
        """
        wanted = [self.folder / self.spec.file_of(number) for number in self.spec.classes[split]]
        absent = [file for file in wanted if not file.is_file()]
        if absent:
            raise BenchError(
                f"{absent[0]}: not there, and neither are {len(absent) - 1:,} others of "
                f"{len(wanted):,} classes that {specs.FILE} lists: get the records again"
            )

    def identity(self, splits: Iterable[str]) -> Iterator[bytes]:
        """What tells this source from another: its specification, and the length of each file.

        Args:
            splits: whose files; those of others need not be there.

        Raises:
            BenchError: if one is not there.
        """
        for split in splits:
            self.check(split)
        yield (self.folder / specs.FILE).read_bytes()
        for number in (number for split in splits for number in self.spec.classes[split]):
            yield f"{(self.folder / self.spec.file_of(number)).stat().st_size}\n".encode()

    def image(self, number: int, place: int) -> np.ndarray:
        """An image, resized.

        Args:
            number: of the class.
            place: which of its images.

        Returns:
            ``[side, side, 3]`` uint8.

        Raises:
            BenchError: names file and record, if it is damaged or no image.
        """
        if (found := self._decoded.get((number, place))) is None:
            if len(self._decoded) * self.side**2 * 3 > KEPT_BYTES:
                self._decoded.pop(next(iter(self._decoded)))
            found = self._decoded[number, place] = self._read(number, place)
        return found

    def _read(self, number: int, place: int) -> np.ndarray:
        file = self.folder / self.spec.file_of(number)
        where = f"{file}, record {place}"
        start, end = self._where(number)[place : place + 2]
        try:
            with regular_files.open_to_read(file) as opened:
                opened.seek(start)
                content = opened.read(end - start)
        except OSError as error:
            raise BenchError(f"{file}: {error.strerror}: {self.remedy}") from None
        if len(content) < end - start:
            raise BenchError(f"{where}: gone since the file was opened: get the records again")
        (record,) = tfrecords.read(content, where)
        image = decoding.decode(tfrecords.image(record, where), where).image
        image = decoding.convert(image, "RGB", where)
        if image.size != (self.side, self.side):
            image = image.resize((self.side, self.side), Image.Resampling.BILINEAR)
        return np.asarray(image)

    def _where(self, number: int) -> np.ndarray:
        if number not in self._places:
            file = self.folder / self.spec.file_of(number)
            try:
                with regular_files.open_to_read(file) as opened:
                    places = tfrecords.places(opened, file)
            except OSError as error:
                raise BenchError(f"{file}: {error.strerror}: {self.remedy}") from None
            if len(places) - 1 != self.spec.images[number]:
                raise BenchError(
                    f"{file}: holds {len(places) - 1} images, and {specs.FILE} says "
                    f"{self.spec.images[number]}: get the records again"
                )
            self._places[number] = places
        return self._places[number]
