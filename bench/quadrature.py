"""Nodes and weights for integrals over normal numbers."""

import numpy as np
from scipy import special
from scipy.stats import qmc


def trapezoid(step: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The trapezoidal rule for a standard normal number.

    For a function that is analytic within a distance d of the real line the error falls as
    ``exp(-2 pi d / step)``, for a normal density of standard deviation s as
    ``exp(-2 (pi s / step)^2)`` (Trefethen and Weideman, "The exponentially convergent trapezoidal
    rule", SIAM Review 56, 2014, theorem 5.1): unlike Gauss-Hermite nodes, these stay dense where
    a posterior narrows far from 0.

    Args:
        step: distance of neighbouring nodes; 0: the node 0 alone, for a number that is known.
        radius: the nodes lie within -radius to radius.

    Returns:
        Nodes and weights, ``[nodes]`` each; the weights add up to 1.
    """
    half = int(radius / step) if step else 0
    nodes = step * np.arange(-half, half + 1)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


def logistic_step(slope: float) -> float:
    """A step at which averages of ``s(slope z + ...)`` over a normal z are exact to 1e-10.

    The logistic curve s has its poles at a distance of ``pi / slope`` from the real line.
    """
    return 0.75 / max(1.0, slope) if slope else 0.0


def product(step: float, radius: float, correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The trapezoidal rule for correlated standard normal numbers.

    The grid is one of the numbers themselves, not of independent ones behind them, so that a
    function of few of them has few different values on it.

    Args:
        step: distance of neighbouring nodes.
        radius: nodes further from 0 than this, in Mahalanobis' distance, are left out.
        correlation: ``[dimensions, dimensions]``.

    Returns:
        Nodes ``[nodes, dimensions]`` and weights ``[nodes]``.
    """
    half = int(radius / step)
    axis = step * np.arange(-half, half + 1)
    nodes = np.stack(np.meshgrid(*[axis] * len(correlation), indexing="ij"), -1)
    nodes = nodes.reshape(-1, len(correlation))
    squared = np.einsum("nd,de,ne->n", nodes, np.linalg.inv(correlation), nodes)
    near = squared <= radius**2
    weights = np.exp(-squared[near] / 2)
    return nodes[near], weights / weights.sum()


def quasi_monte_carlo(log2_nodes: int, correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sobol's points for correlated standard normal numbers: no chance in them.

    Args:
        log2_nodes: there are ``2 ** log2_nodes`` nodes.
        correlation: ``[dimensions, dimensions]``.

    Returns:
        Nodes ``[nodes, dimensions]`` and weights ``[nodes]``, all alike.
    """
    u = qmc.Sobol(len(correlation), scramble=False).random_base2(log2_nodes)
    # Points are corners of cells of a grid, 0 among them: their middles have a finite quantile.
    z = special.ndtri(u + 0.5 / len(u))
    return z @ np.linalg.cholesky(correlation).T, np.full(len(u), 1 / len(u))
