"""Keeps Lightning's and torch's advice from the user of a command."""

import logging
import warnings
from contextlib import contextmanager


@contextmanager
def quiet():
    """Within this context, Lightning keeps its advice to itself."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
