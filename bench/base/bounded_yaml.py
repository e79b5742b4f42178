"""YAML from elsewhere: how much of it there may be, before anything is made of it."""

import yaml

from bench.base.errors import BenchError

MOST_VALUES = 100_000  # with anchors written out
MOST_DEPTH = 100  # lists in lists
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check(text: str, where: str) -> None:
    """Refuses anchors that unfold without end, which a loader would only share.

    Args:
        text: of the file.
        where: its name, for the message.

    Raises:
        BenchError: names the file.
        yaml.YAMLError: if it is no YAML.
    """
    size_of: dict[str, int] = {}  # values that an anchor stands for
    sizes, anchors = [0], []  # of the lists and dicts that the present value lies in
    for event in yaml.parse(text, Loader=_PARSER):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            anchors.append(event.anchor)
            if len(sizes) > MOST_DEPTH:
                raise BenchError(f"{where}: lists within more than {MOST_DEPTH} others")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in anchors:
                raise BenchError(f"{where}: &{event.anchor} refers to itself: write it out")
            size = size_of.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            size = size_of[anchors.pop()] = sizes.pop()
        elif isinstance(event, yaml.ScalarEvent):
            size = size_of[event.anchor] = 1
        else:
            continue
        sizes[-1] += size
        if sizes[-1] > MOST_VALUES:
            raise BenchError(
                f"{where}: more than {MOST_VALUES:,} values, with what its anchors stand for "
                "written out"
            )
