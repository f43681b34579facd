"""SHA-256 of reproducible outputs, shortened to a text that two people can compare."""

from typing import Any

from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.inference.batches import BatchOptions
from xpnet.inference.nonfinite import lost_rows
from xpnet.inference.predict import marked_class_ids
from xpnet.inference.runner import Runner
from xpnet.networks.fingerprint import ResultHash
from xpnet.networks.network import Network
from xpnet.networks.reproducible import reproducible

__all__ = ["HashedRunner", "result_hash"]


class HashedRunner:
    """Computation of reproducible outputs, block by block, and of the hash of them all."""

    def __init__(self, network: Network, options: BatchOptions) -> None:
        self.hash, self._network = ResultHash(), reproducible(network)
        self._runner = Runner(self._network, lambda _network, y, _: y, options)

    def outputs(self, images: Any) -> NDArray[Any]:
        """Return the outputs for the next images, which are added to the hash."""
        y = to_numpy(self._runner.run(images))
        self.hash.update(y)
        return y

    def marked_class_ids(self, rows: NDArray[Any]) -> Any:
        """Return the class ids for the next rows, as the function of that name."""
        y = self.outputs(rows)
        return marked_class_ids(self._network, y, lost_rows(self._network, rows, y))


def result_hash(
    network: Network,
    images: Any,
    /,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
) -> str:
    """Return a hash of the outputs of the `reproducible` network, such as 9f3c-02ab-77d1-e05b.

    Parameters
    ----------
    network, images, batch_size, threads
        As for `predict`. Dask images are computed, and outputs on a device are copied back.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the SHA-256 of the outputs: their little-endian values
        row by row, and a line with dtype and shape, such as ``float32 1000 x 10``. 64 bits
        detect accidental differences, not forgery.

    Raises
    ------
    TypeError, ValueError, DeviceError
        As `reproducible` and `predict`.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> xpnet.result_hash(xpnet.load("sample"), images)
    '9189-73c3-8a45-d0ab'
    """
    runner = HashedRunner(network, BatchOptions(batch_size, threads))
    runner.outputs(images)
    return runner.hash.text()
