"""How many images a second, one by one and in batches of any size."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, limits_of
from xpnet.inference.batches import as_rows
from xpnet.inference.predict import predict
from xpnet.networks.network import Network

__all__ = [
    "BATCH_SIZES",
    "DifferingResultsError",
    "Throughput",
    "measure_throughput",
    "rows_in_memory",
]

BATCH_SIZES = (1, 10, 100, 1000, 10_000, 100_000)

# A round goes on for about so long at each size, unless a single batch takes longer: enough to
# average over what a clock and a scheduler do, and short enough to come back soon.
_ROUND_SECONDS = 0.2
# What a batch may cost at most. Where it costs more, the curve has long been flat.
_MOST_SECONDS = 5.0
_MOST_BYTES = 10**9
# So many rows are at hand even if no batch needs them, so that a round need not meet the same few
# again and again, out of the cache.
_MOST_ROWS = BATCH_SIZES[-1]
_SCALE_ROWS = 1000
# A step unit, or a network that magnifies errors, may answer rounding by more than rounding.
_MOST_UNEXPLAINED = 0.01


class DifferingResultsError(ArithmeticError):
    """Two batch sizes give results that rounding does not explain."""


@dataclass(frozen=True)
class Throughput:
    """How many images a second, in batches of one size.

    Attributes
    ----------
    batch_size : int
    best, median : float
        Images per second, in the best round and in the median one.
    n_rows : int
        How many images a round took: whole batches.
    n_compared, n_differing : int
        How many results were compared with those of smaller sizes, and how many were others.
    """

    batch_size: int
    best: float
    median: float
    n_rows: int
    n_compared: int
    n_differing: int


@dataclass(frozen=True, eq=False)
class _Task:
    """What is timed: a network and as many rows as the largest batch has, or more."""

    network: Network
    rows: NDArray[Any]
    threads: int | None

    def run(self, n_rows: int, size: int, n_calls: int = 1) -> tuple[NDArray[Any], float]:
        """Return the results of the first rows, and the seconds that so many calls took."""
        start = perf_counter()
        for _ in range(n_calls):
            results = predict(
                self.network, self.rows[:n_rows], batch_size=size, threads=self.threads
            )
        return results, perf_counter() - start


class _Plan(NamedTuple):
    """What is done in a round at one batch size, and what its results were when it got warm."""

    batch_size: int
    n_rows: int
    n_calls: int
    n_compared: int
    n_differing: int


def measure_throughput(
    network: Network,
    images: Any,
    /,
    *,
    batch_sizes: Iterable[int] = BATCH_SIZES,
    rounds: int = 5,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Throughput]:
    """Measure images per second from rows in host memory to results in host memory.

    The way to a GPU and back is in it. The batch sizes take turns in each round, so that what
    else the machine does meets all of them.

    Parameters
    ----------
    network : Network
    images : numpy.ndarray of shape (n, n_in), (n, height, width) ...
        At least one. They are repeated where a batch has more rows.
    batch_sizes : iterable of int
    rounds : int, default 5
        How often each size is timed, for about a fifth of a second or one batch.
    threads : int, optional
        As for `xpnet.predict`.
    progress : callable, optional
        Called with 1 after each round of each size, and after its warm-up.

    Returns
    -------
    list of Throughput
        From the smallest size to the largest. Left out are sizes of which a batch would take more
        than 1 GB (see `rows_in_memory`), more than the device has, or more than 5 seconds, going
        by the sizes below.

    Raises
    ------
    DifferingResultsError
        If a size gives other results than the smaller ones; see the notes.
    TypeError, ValueError
        As `xpnet.predict`; and if `images` are none or not in host memory, or `rounds` is below 1.

    Notes
    -----
    Before anything is timed, the results of all sizes are compared, row by row. A label may
    differ where the outputs of the two classes are equal in half of the dtype's digits, that is
    up to sqrt(eps) of the largest output; so may the values of a regression. Of rows that
    differ by more, up to 1 in 100 are let pass: a step unit answers rounding by a jump. With more
    of them nothing is timed.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> speeds = measure_throughput(
    ...     xpnet.load("sample"), images, batch_sizes=[1, 100], rounds=1
    ... )
    >>> [speed.batch_size for speed in speeds]
    [1, 100]
    """
    rows = _checked(network, images, rounds)
    fitting = rows_in_memory(network, rows.dtype.itemsize)
    sizes = [size for size in sorted(set(batch_sizes)) if size <= fitting]
    if not sizes:
        return []
    n_rows = max(sizes[-1], min(_MOST_ROWS, fitting))
    task = _Task(network, _repeated(rows, n_rows), threads)
    call = progress or (lambda _: None)
    prepared = _prepare(task, sizes, call)
    seconds: list[list[float]] = [[] for _ in prepared]
    for _ in range(rounds):
        for plan, times in zip(prepared, seconds, strict=True):
            times.append(task.run(plan.n_rows, plan.batch_size, plan.n_calls)[1])
            call(1)
    return [_summarised(*pair) for pair in zip(prepared, seconds, strict=True)]


def _summarised(plan: _Plan, times: list[float]) -> Throughput:
    n_rows = plan.n_rows * plan.n_calls
    best, median = n_rows / min(times), n_rows / statistics.median(times)
    return Throughput(plan.batch_size, best, median, n_rows, plan.n_compared, plan.n_differing)


def rows_in_memory(network: Network, itemsize: int = 1) -> int:
    """Return how many rows a batch may have: 1 GB for them and two of the widest stages.

    Parameters
    ----------
    network : Network
    itemsize : int, default 1
        Bytes of a raw value.
    """
    xp = array_namespace(network.layers[0].weight)
    widest = max(network.n_in, *(layer.n_out for layer in network.layers))
    n_bytes = network.n_in * itemsize + 2 * widest * (limits_of(network.dtype, xp).bits // 8)
    return _MOST_BYTES // n_bytes


def _checked(network: Network, images: Any, rounds: int) -> NDArray[Any]:
    """Return the images as rows of which there are some."""
    if rounds < 1:
        msg = f"`rounds` must be at least 1; got {rounds}"
        raise ValueError(msg)
    rows = as_rows(images, network.n_in)
    if not isinstance(rows, np.ndarray):
        msg = f"`images` must be in host memory, a NumPy array; got {type(rows).__name__}"
        raise TypeError(msg)
    if not len(rows):
        msg = f"`images` must hold at least one; got the shape {rows.shape}"
        raise ValueError(msg)
    return rows


def _repeated(rows: NDArray[Any], n_rows: int) -> NDArray[Any]:
    if n_rows <= len(rows):
        return rows[:n_rows]
    return np.take(rows, np.arange(n_rows), axis=0, mode="wrap")


def _prepare(task: _Task, sizes: list[int], progress: Callable[[int], None]) -> list[_Plan]:
    """Return what is to be timed, once all that can be timed is warm and gives the same results."""
    prepared: list[_Plan] = []
    # Of each row, the result at the smallest size that came to it.
    expected = predict(task.network, task.rows[:0])
    fastest = 0.0  # rows per second
    for size in sizes:
        if size > _MOST_SECONDS * fastest > 0.0:
            break
        try:
            results, seconds = _warm_up(task, size)
        except MemoryError:  # the device's own limit
            break
        n_done, n_compared = len(results), min(len(results), len(expected))
        n_differing = _compare(task, size, expected[:n_compared], results[:n_compared])
        expected = np.concatenate((expected, results[n_compared:]))
        wanted = int(_ROUND_SECONDS / seconds * n_done)
        n_rows = max(min(wanted, len(task.rows)) // size, 1) * size
        n_calls = max(wanted // n_rows, 1)
        prepared.append(_Plan(size, n_rows, n_calls, n_compared, n_differing))
        fastest = max(fastest, n_done / seconds)
        progress(1)
    return prepared


def _warm_up(task: _Task, size: int) -> tuple[NDArray[Any], float]:
    """Return the results of enough rows to tell how long a row takes, and the seconds."""
    task.run(size, size)  # what is compiled, loaded or allocated once is not timed
    n_rows = size
    while True:
        results, seconds = task.run(n_rows, size)
        if seconds >= _ROUND_SECONDS / 4 or 2 * n_rows > len(task.rows):
            return results, seconds
        n_rows *= 2


def _compare(task: _Task, size: int, expected: NDArray[Any], results: NDArray[Any]) -> int:
    """Return how many results differ; raise if there are more than can be explained."""
    if np.array_equal(expected, results):
        return 0
    if task.network.output == "values":
        scale = np.max(np.abs(expected), axis=0, where=np.isfinite(expected), initial=0.0)
        near = np.isclose(
            results, expected, rtol=0.0, atol=_precision(task) * scale, equal_nan=True
        )
        n_differing = n_unexplained = int(np.sum(~np.all(near, axis=1)))
    else:
        differing = np.flatnonzero(expected != results)
        n_differing = len(differing)
        n_unexplained = _count_clear(task, differing, expected[differing], results[differing])
    if n_unexplained > _MOST_UNEXPLAINED * len(results):
        msg = (
            f"batches of {size:,} give other results than smaller ones for {n_unexplained:,} of"
            f" {len(results):,} images, by more than rounding: nothing was timed"
        )
        raise DifferingResultsError(msg)
    return n_differing


def _count_clear(
    task: _Task, places: NDArray[Any], expected: NDArray[Any], results: NDArray[Any]
) -> int:
    """Return for how many rows the outputs of the two labels are not as good as equal."""
    outputs = replace(task.network, output="values", classes=None)
    usual = predict(outputs, task.rows[:_SCALE_ROWS])
    y = predict(outputs, task.rows[places])
    tolerance = _precision(task) * np.max(np.abs(usual), where=np.isfinite(usual), initial=0.0)
    if task.network.n_out == 1:
        gap = y[:, 0] - (0.0 if task.network.output == "logits" else 0.5)
    else:
        i = np.arange(len(y))
        gap = y[i, expected] - y[i, results]
    return int(np.sum(np.abs(gap) > tolerance))


def _precision(task: _Task) -> float:
    """Return sqrt(eps): half of the digits that the network computes with."""
    xp = array_namespace(task.network.layers[0].weight)
    return float(limits_of(task.network.dtype, xp).eps) ** 0.5
