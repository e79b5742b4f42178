"""Weights of the user's own that a network starts from: read as data, fitted entry by entry."""

import io
import warnings
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.base import checksums, regular_files
from bench.base.errors import BenchError

OPTION = "weights"  # of model_options
INSIDE = ("state_dict", "model_state_dict", "model", "params")  # of a checkpoint: where they lie
MOST_BYTES = 2**34
SHOWN = 3  # names in a message
REMEDY = "save the weights by torch.save(net.state_dict(), FILE)"


class Pretrained:
    """Weights that a network starts from.

    The entries of the file go to the parameters and buffers of the same names, once a prefix that
    most of them share, such as ``net.`` or ``module.``, is taken away, or to one part of the
    network, such as its features. A last layer of another
    shape, as of other ways, and whatever the file lacks stay as they are; :attr:`left` says which.

    A record or checkpoint knows the file by its checksum alone, and never opens it.

    Args:
        given: the file, or its checksum.

    Attributes:
        checksum: of the file, ``sha256:...``.
        known: whether the network has these weights, or will: False where only the checksum was
            given, until a checkpoint is loaded.
        left: names of the network's entries that started as without the file.
        unused: names of the file's entries that the network has no place for.

    Raises:
        BenchError: if the file is missing, or holds anything but weights.
    """

    def __init__(self, given: str | Path):
        self.left: list[str] = []
        self.unused: list[str] = []
        self.known = not checksums.is_checksum(given)
        self.checksum, self.name = str(given), str(given)
        self._entries: dict[str, Tensor] = {}
        if self.known:
            content = _content(Path(given).expanduser())
            self.checksum = checksums.of_content(content)
            self._entries = _entries(content, self.name)

    def load_into(self, net: nn.Module) -> None:
        """Puts the weights into a network; nothing if only their checksum is known.

        Raises:
            BenchError: if no entry has a place in it, or another layer than the last one has
                another shape.
        """
        if not self._entries:
            return
        here, last = net.state_dict(), _last_layer(net)
        renamed = _renamed(self._entries, here, [n for n, _ in net.named_children()])
        found = {n: self._entries[there] for n, there in renamed.items()}
        if not found:
            raise BenchError(
                f"{self.name}: none of its {len(self._entries)} entries (such as "
                f"{_some(self._entries)}) is called like one of {type(net).__name__} (such as "
                f"{_some(here)}): give weights of this network, or rename the entries"
            )
        differing = [n for n, v in found.items() if v.shape != here[n].shape]
        if wrong := [n for n in differing if n not in last]:
            shapes = f"{_shape(found[wrong[0]])} there and {_shape(here[wrong[0]])} in the network"
            more = f", as of {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise BenchError(
                f"{self.name}: the shape of {renamed[wrong[0]]} is {shapes}{more}: set model and "
                "model_options to what the weights are of"
            )
        taken = {n: v for n, v in found.items() if n not in differing}
        if strange := [n for n, v in taken.items() if not _is_finite(v)]:
            raise BenchError(
                f"{self.name}: {renamed[strange[0]]} holds numbers that are not finite"
            )
        net.load_state_dict(taken, strict=False)
        self.left = sorted(here.keys() - taken.keys())
        self.unused = sorted(self._entries.keys() - {renamed[n] for n in taken})
        self._entries = {}

    def __str__(self) -> str:
        words = [f"started from {self.name}"]
        words += [f"left at their start: {_some(self.left, 10)}"] if self.left else []
        words += [f"not used of it: {_some(self.unused, 10)}"] if self.unused else []
        return "; ".join(words)


def named_in(model_options: Mapping[str, Any] | None) -> Pretrained | None:
    """The weights that the options of a model name; None where they name none.

    Raises:
        BenchError: as :class:`Pretrained`.
    """
    given = (model_options or {}).get(OPTION)
    if given is None:
        return None
    if not isinstance(given, str | Path):
        raise BenchError(f"model_options.{OPTION}={given!r:.60}: give the path of a file")
    return Pretrained(given)


def _content(path: Path) -> bytes:
    try:
        return regular_files.read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise BenchError(
            f"{path}: {error.strerror}: model_options.{OPTION} is a file of weights; {REMEDY}"
        ) from None


def _entries(content: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a state dict, or of the one in a checkpoint, by name."""
    try:
        with warnings.catch_warnings():  # torch's advice on what other programs wrote
            warnings.simplefilter("ignore")
            stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # torch.load raises nearly anything, and advises to trust the file
        raise BenchError(
            f"{name} is damaged, or holds something else than weights (nothing else is read from "
            f"it): {REMEDY}"
        ) from None
    inside = [stored[n] for n in INSIDE if isinstance(stored, dict) and n in stored]
    for found in [*inside, stored]:
        if isinstance(found, dict):
            tensors = {n: v for n, v in found.items() if isinstance(n, str) and _is_dense(v)}
            if tensors:
                return tensors
    raise BenchError(f"{name} is no state dict, and holds none: {REMEDY}")


def _is_dense(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _renamed(
    entries: Iterable[str], here: Container[str], parts: Iterable[str] = ()
) -> dict[str, str]:
    """Names of a network to those in a file, such that most of the file has a place.

    >>> _renamed(["module.net.a", "module.net.b", "c"], ["a", "b"])
    {'a': 'module.net.a', 'b': 'module.net.b'}
    >>> _renamed(["0.weight"], ["features.0.weight", "head.weight"], ["features", "head"])
    {'features.0.weight': '0.weight'}

    Args:
        entries: names in the file.
        here: names in the network.
        parts: of the network, to which alone the file may belong.
    """
    names = [name.split(".") for name in entries]
    before = {"".join(f"{part}." for part in n[:depth]) for n in names for depth in range(len(n))}
    found: dict[str, str] = {}
    for part in ("", *(f"{part}." for part in parts)):
        for prefix in sorted(before, key=lambda p: (len(p), p)):
            within = [n for n in entries if n.startswith(prefix)]
            tried = {part + n.removeprefix(prefix): n for n in within}
            tried = {n: there for n, there in tried.items() if n in here}
            found = max(found, tried, key=len)
    return found


def _last_layer(net: nn.Module) -> set[str]:
    """Names of what the last layer holds: ``head`` if the network says so."""
    layers = [(n, m) for n, m in net.named_modules() if any(True for _ in m.parameters(False))]
    name = "head" if isinstance(getattr(net, "head", None), nn.Module) else layers[-1][0]
    return {n for n in net.state_dict() if n.startswith(f"{name}." if name else "")}


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"


def _some(names, most: int = SHOWN) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
