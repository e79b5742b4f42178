"""How pupils are asked, and the tokens in the addresses."""

import secrets
from dataclasses import dataclass, field

from bench.base.errors import BenchError


def _token() -> str:
    return secrets.token_urlsafe(12)


@dataclass(frozen=True)
class Options:
    """How pupils are asked.

    Attributes:
        policy: a key of :data:`bench.tutor.policies.POLICIES`; None: the tutor's own.
        most: questions in one sitting.
        randomesque: so many of the best questions are chosen from at random.
        pupil, teacher: tokens in the addresses of their pages.
    """

    policy: str | None = None
    most: int = 20
    randomesque: int = 3
    pupil: str = field(default_factory=_token)
    teacher: str = field(default_factory=_token)

    def __post_init__(self):
        for name in ("most", "randomesque"):
            if getattr(self, name) < 1:
                raise BenchError(f"--{name} {getattr(self, name)}: give at least 1")
