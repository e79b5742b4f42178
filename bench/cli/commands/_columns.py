"""The flag with which commands take unusual names of columns."""

import argparse

from bench.base.errors import BenchError


def columns_flag(command: argparse.ArgumentParser) -> None:
    """Declares it."""
    command.add_argument(
        "--columns",
        nargs="+",
        action="extend",
        default=[],
        metavar="ROLE=NAME",
        help="unusual names of columns, such as user_id=learner item_id=exercise correct=right",
    )


def columns_of(options: argparse.Namespace) -> dict[str, str]:
    """What was given, role to name.

    Raises:
        BenchError: for what is not ROLE=NAME.
    """
    roles = [text.partition("=") for text in options.columns]
    for role, equals, name in roles:
        if not (role and equals and name):
            raise BenchError(f"--columns {role}: write ROLE=NAME, such as user_id=learner")
    return {role: name for role, _, name in roles}
