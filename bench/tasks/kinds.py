"""Which algorithms are for which kinds of tasks: ``kinds`` of the one, ``kind`` of the other."""

from collections.abc import Sequence

from bench.base import registry
from bench.base.errors import BenchError

WORDS = {
    "answers": "answers of students",
    "classification": "classification",
    "classification_errors": "classification",
    "regression": "regression",
}


def fitting(kind: str) -> list[str]:
    """The algorithms of the suite that are for tasks of a kind, by name."""
    return [n for n in registry.names("algorithms") if fits(n, kind)]


def fits(algorithm: str, kind: str) -> bool:
    """Whether an algorithm, given by name, is for tasks of a kind.

    Raises:
        BenchError: for an unknown name.
    """
    kinds = registry.declaration("algorithms", algorithm).attributes.get("kinds")
    return kinds is None or kind in kinds


def kind_of(dataset: str) -> str:
    """The kind of tasks of a data set, given by name.

    Raises:
        BenchError: for an unknown name.
    """
    return registry.declaration("data", dataset).attributes["kind"]


def check(name: str, kinds: Sequence[str] | None, kind: str, of_what: str) -> None:
    """Refuses tasks that an algorithm is not for.

    Args:
        name: of the algorithm.
        kinds: that it is for; None: all.
        kind: of the tasks.
        of_what: what the tasks are of, such as the name of a data set.

    Raises:
        BenchError: names the algorithms that are.
    """
    if kinds is None or kind in kinds:
        return
    listed = " and ".join(dict.fromkeys(WORDS.get(k, k) for k in kinds))
    raise BenchError(
        f"{name} is for {listed}, and {of_what} is {WORDS.get(kind, kind)}: choose one of "
        f"{', '.join(fitting(kind))}"
    )
