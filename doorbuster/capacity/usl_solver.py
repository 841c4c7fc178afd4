"""Bounded least squares for the scalability law: one sweep, or a thousand at once.

X(N) = gamma N / (1 + alpha (N-1) + beta N (N-1)), parameters in the order alpha, beta, gamma, with alpha and
beta in 0..1. Source: Marquardt (1963), "An algorithm for least-squares estimation of nonlinear parameters".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MAX_STEPS = 500
_SETTLED = 1e-12  # largest relative change of a parameter in the last step
_CLEARLY_BROKEN = 1e12  # damping beyond which no step improves the fit


def curve(theta: Floats, load: Floats) -> Floats:
    """X of each load; theta of shape (..., 3) gives (..., loads)."""
    alpha, beta, gamma = (theta[..., i, None] for i in range(3))
    return np.asarray(gamma * load / (1 + alpha * (load - 1) + beta * load * (load - 1)), np.float64)


def jacobian(theta: Floats, load: Floats) -> Floats:
    """Derivatives of X, shape (..., loads, 3)."""
    alpha, beta, gamma = (theta[..., i, None] for i in range(3))
    below = 1 + alpha * (load - 1) + beta * load * (load - 1)
    by_alpha = -gamma * load * (load - 1) / below**2
    return np.stack([by_alpha, by_alpha * load, load / below], axis=-1)


def least_squares(
    load: Floats, measured: Floats, may_vary: tuple[bool, bool, bool], *, relative: bool
) -> Floats:
    """The best parameters of each sweep: `measured` of shape (sweeps, loads) gives (sweeps, 3).

    The interior and each face (alpha = 0, beta = 0, both) are fitted separately: a solver that approaches a
    bound stops just short of it, and a curve with beta = 1e-12 would have a peak.
    """
    scale = measured if relative else np.ones_like(measured)
    may_be_zero = [i for i in (0, 1) if may_vary[i]]
    faces = {tuple(i for i in may_be_zero if mask >> i & 1) for mask in range(4)}
    best = np.zeros((len(measured), 3))
    least = np.full(len(measured), np.inf)
    for face in sorted(faces, key=len, reverse=True):
        free = [i for i in range(3) if may_vary[i] and i not in face]
        theta = _descend(load, measured, scale, free)
        squares = (((curve(theta, load) - measured) / scale) ** 2).sum(axis=-1)
        # Smaller faces come first: a larger one must improve on them by more than rounding.
        better = squares < least * (1 - 1e-9)
        best[better], least[better] = theta[better], squares[better]
    return best


def _descend(load: Floats, measured: Floats, scale: Floats, free: list[int]) -> Floats:
    """Levenberg-Marquardt on the free parameters of all sweeps at once, each step clipped to the bounds.

    A thousand bootstrap fits take a second; scipy's bounded solvers take a minute.
    """
    upper = np.array([1.0, 1.0, np.inf])[free]
    theta = np.zeros((len(measured), 3))
    theta[:, free] = np.array([0.01, 1e-4, 1.0])[free]
    theta[:, 2] = (measured / load).max(axis=-1)
    residual = (measured - curve(theta, load)) / scale
    squares = (residual**2).sum(axis=-1)
    damping = np.full(len(measured), 1e-3)
    at_work = np.arange(len(measured))
    diagonal = np.eye(len(free))
    for _ in range(_MAX_STEPS):
        here = theta[at_work]
        local = jacobian(here, load)[..., free] / scale[at_work, :, None]
        normal = np.swapaxes(local, -1, -2) @ local
        slope = (local * residual[at_work, :, None]).sum(axis=-2)
        damped = normal * (1 + damping[at_work, None, None] * diagonal) + 1e-300 * diagonal
        tried = here.copy()
        step = np.linalg.solve(damped, slope[..., None])[..., 0]
        tried[:, free] = np.clip(here[:, free] + step, 0.0, upper)
        ahead = (measured[at_work] - curve(tried, load)) / scale[at_work]
        found = (ahead**2).sum(axis=-1)
        good = found <= squares[at_work]
        gained = squares[at_work] - found
        moved = np.max(np.abs(tried - here) / (np.abs(tried) + 1e-12), axis=-1)
        settled = good & ((moved < _SETTLED) | (gained <= 1e-15 * squares[at_work]))
        accepted = at_work[good]
        theta[accepted], residual[accepted], squares[accepted] = tried[good], ahead[good], found[good]
        damping[at_work] *= np.where(good, 1 / 8, 4.0)
        at_work = at_work[~settled & (damping[at_work] < _CLEARLY_BROKEN)]
        if not at_work.size:
            break
    return theta
