"""Nodes and weights for integrals over normal numbers."""

import math

import numpy as np


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


def body_centred(
    step: float, radius: float, correlation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The trapezoidal rule for correlated standard normal numbers, on two interleaved grids.

    A cubic grid and the middles of its cells: as exact as a cubic grid alone whose step is smaller
    by the square root of 2, because the waves that such a lattice takes for a constant are longer
    by that (Petersen and Middleton, "Sampling and reconstruction of wave-number-limited functions
    in N-dimensional Euclidean spaces", Information and Control 5, 1962). In d dimensions it needs
    ``2 / 2^(d / 2)`` times the nodes. A grid of the numbers themselves, not of independent ones
    behind them: a function of few of the numbers has few different values on it.

    Args:
        step: distance of neighbouring nodes along an axis.
        radius: nodes further from 0 than this, in Mahalanobis' distance, are left out.
        correlation: ``[dimensions, dimensions]``.

    Returns:
        Nodes ``[nodes, dimensions]`` and weights ``[nodes]``.
    """
    half = int(radius / step) + 1
    axis, inverse = step * np.arange(-half, half + 1), np.linalg.inv(correlation)
    grid = np.stack(np.meshgrid(*[axis] * len(correlation), indexing="ij"), -1)
    nodes = np.concatenate([grid, grid + step / 2]).reshape(-1, len(correlation))
    squared = np.einsum("nd,nd->n", nodes @ inverse, nodes)
    near = squared <= radius**2
    weights = np.exp(-squared[near] / 2)
    return nodes[near], weights / weights.sum()


def body_centred_nodes(step: float, radius: float, correlation: np.ndarray) -> float:
    """About how many nodes :func:`body_centred` has: two in each cell of an ellipsoid."""
    d = len(correlation)
    ball = (np.sqrt(np.pi) * radius / step) ** d / math.gamma(d / 2 + 1)
    return 2 * ball * np.sqrt(np.linalg.det(correlation))
