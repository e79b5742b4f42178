"""How an option is written where the reader of a message stands: in Python, or in a command.

A message that advises to set an option writes it with :func:`written`, so that it can be typed as
it stands. The command line says which way it is with :func:`typed_as`.
"""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


def in_python(name: str, value: Any) -> str:
    """As an argument of a call.

    >>> in_python("columns", {"item_id": "exercise"}), in_python("folds", 3)
    ('columns={"item_id": "exercise"}', 'folds=3')
    """
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else repr(value)
    return f"{name}={text}"


def of_lightning(name: str, value: Any) -> str:
    r"""As a flag of ``maml-bench fit`` and its like, for the data module.

    >>> of_lightning("columns", {"item_id": "exercise"}), of_lightning("protocol", "random")
    ('--data.columns \'{"item_id": "exercise"}\'', '--data.protocol random')
    """
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"--data.{name} {shlex.quote(plain)}"


def of_grid(name: str, value: Any) -> str:
    r"""As a setting of ``maml-bench run`` and its like.

    >>> of_grid("columns", {"item_id": "exercise"})
    '--set columns="{\'item_id\': \'exercise\'}"'
    >>> of_grid("protocol", "random")
    '--set protocol=random'
    """
    text = f"{name}={value}"
    if "'" in text and not any(sign in text for sign in '"$`\\!'):
        return f'--set {name}="{value}"'  # easier to read than what shlex makes of it
    return f"--set {shlex.quote(text)}"


def of_flag(name: str, value: Any) -> str:
    """As a flag of its own, which takes NAME=VALUE where there are several.

    >>> of_flag("columns", {"item_id": "the task", "correct": "right"}), of_flag("folds", 3)
    ("--columns 'item_id=the task' correct=right", '--folds 3')
    """
    pairs = [f"{n}={v}" for n, v in value.items()] if isinstance(value, Mapping) else [str(value)]
    return " ".join([f"--{name.replace('_', '-')}", *map(shlex.quote, pairs)])


_way: ContextVar[Callable[[str, Any], str]] = ContextVar("way", default=in_python)


def written(name: str, value: Any) -> str:
    """An option as it is to be typed here."""
    return _way.get()(name, value)


@contextmanager
def typed_as(way: Callable[[str, Any], str]) -> Iterator[None]:
    """Within this context, messages write options in this way."""
    before = _way.set(way)
    try:
        yield
    finally:
        _way.reset(before)
