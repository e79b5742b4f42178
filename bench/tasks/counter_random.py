"""Random numbers that are a pure function of (key, episode, position): no state anywhere.

Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011), vectorised over episodes: one call draws what a whole batch of episodes needs, and each
episode gets the same numbers whatever batch, worker, device or order it is drawn in.
"""

import hashlib

import numpy as np

_MULTIPLIER = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox(key: tuple[int, int], counter: np.ndarray) -> np.ndarray:
    """Ten rounds of Philox4x32.

    Args:
        key: two 32-bit words.
        counter: ``[4, ...]`` uint64 array of 32-bit words.

    Returns:
        ``[4, ...]`` uint64 array of random 32-bit words.
    """
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        first, second = _MULTIPLIER[0] * a, _MULTIPLIER[1] * c
        a = (second >> _SHIFT) ^ b ^ np.uint64(k0)
        c = (first >> _SHIFT) ^ d ^ np.uint64(k1)
        b, d = second & _LOW, first & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([a, b, c, d])


def stream(*names) -> tuple[int, int]:
    """The Philox key that belongs to a purpose, such as ``("glyphs", "train", seed)``."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def uniform(key: tuple[int, int], index, count: int) -> np.ndarray:
    """Independent uniform numbers, strictly between 0 and 1, in steps of 2**-32.

    Args:
        key: from :func:`stream`.
        index: ``[tasks]`` integers below 2**64, such as episode numbers.
        count: how many numbers each task needs.

    Returns:
        ``[tasks, count]`` float64; row t depends on ``key`` and ``index[t]`` alone, and a larger
        ``count`` continues the same row.
    """
    index = np.asarray(index).astype(np.uint64)
    blocks = -(-count // 4)
    counter = np.zeros((4, len(index), blocks), np.uint64)
    counter[0] = (index & _LOW)[:, None]
    counter[1] = (index >> _SHIFT)[:, None]
    counter[2] = np.arange(blocks, dtype=np.uint64)
    words = np.moveaxis(philox(key, counter), 0, -1).reshape(len(index), blocks * 4)
    return (words[:, :count].astype(np.float64) + 0.5) * 2.0**-32


def normal(u: np.ndarray) -> np.ndarray:
    """Turns uniforms ``[..., n]`` (n even) into independent standard normals (Box-Muller)."""
    half = u.shape[-1] // 2
    radius, angle = np.sqrt(-2 * np.log(u[..., :half])), 2 * np.pi * u[..., half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], -1)


def choose(u: np.ndarray, n) -> np.ndarray:
    """Draws k different numbers out of 0..n-1, in random order.

    Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987), vectorised, then a shuffle.

    Args:
        u: ``[..., 2 * k]`` uniforms.
        n: how many to choose from, at least k: a number, or an array that broadcasts to ``[...]``.

    Returns:
        ``[..., k]`` int64.
    """
    k = u.shape[-1] // 2
    top = np.expand_dims(n, -1) - k + np.arange(k)
    picks = (u[..., :k] * (top + 1)).astype(np.int64)
    top = np.broadcast_to(top, picks.shape)
    for j in range(1, k):
        taken = (picks[..., :j] == picks[..., j, None]).any(-1)
        np.copyto(picks[..., j], top[..., j], where=taken)
    return np.take_along_axis(picks, u[..., k:].argsort(-1), -1)
