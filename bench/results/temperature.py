"""A temperature: what probabilities are worth when log-odds are divided by one number.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017
(arXiv:1706.04599), section 4.2.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from bench.results import calibration
from bench.results.judged import Judged, log_loss, logs_of
from bench.results.predictions import Predictions

MOST_FITTED = 20_000  # rows that a temperature is fitted to: it is one number
RANGE = (0.2, 20.0)


def fitted(rows: Predictions) -> float:
    """What the log-odds of validation episodes are best divided by."""
    places = np.arange(len(rows.unit))[:: -(-len(rows.unit) // MOST_FITTED) or 1]
    if not len(places):
        return 1.0
    chosen = Predictions(*(v[places] for v in rows[:4]), rows.names)
    logs = logs_of(chosen)

    def loss(log_t: float) -> float:
        return float(log_loss(logs / math.exp(log_t), chosen).mean())

    return math.exp(minimize_scalar(loss, bounds=np.log(RANGE), method="bounded").x)


def with_temperature(settings: Sequence[Judged]) -> dict[str, float]:
    """Log-loss and calibration error over all settings, as it is and with a temperature.

    Each fold has the temperature that its own validation episodes gave: no test episode has a say.

    Args:
        settings: what was judged at each number shown.

    Returns:
        ``log_loss``, ``calibration_error``, ``temperature`` (the median of all),
        ``log_loss_scaled`` and ``calibration_error_scaled``.
    """
    before, after, plain, scaled = [], [], [], []
    for judged in settings:
        rows, logs = judged.rows, logs_of(judged.rows)
        divided = logs / judged.temperature[:, None]
        before.append(log_loss(logs, rows))
        after.append(log_loss(divided, rows))
        p = np.exp(log_softmax(divided, 1))
        plain.append(rows)
        scaled.append(rows._replace(probability=p if len(rows.names) else p[:, 1:]))
    error = [calibration.expected_error(calibration.reliability(p)) for p in (plain, scaled)]
    return {
        "log_loss": float(np.concatenate(before).mean()),
        "calibration_error": error[0],
        "temperature": float(np.median([of_folds(judged) for judged in settings])),
        "log_loss_scaled": float(np.concatenate(after).mean()),
        "calibration_error_scaled": error[1],
    }


def of_folds(judged: Judged) -> float:
    """The median of the temperatures of a setting's folds."""
    return float(np.median(np.unique(judged.temperature)))
