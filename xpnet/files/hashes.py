"""SHA-256 of arrays, of the rows of a data set, and of results: the same on every machine."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ResultHash", "RowsFingerprint", "sha256_of_array"]


def sha256_of_array(array: Any, /) -> str:
    """Return the SHA-256 of a NumPy array's dtype, shape and little-endian, row-major values."""
    form = f"{array.dtype.name} {' x '.join(map(str, array.shape))}\n"
    digest = hashlib.sha256(form.encode())
    digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


class RowsFingerprint:
    """SHA-256 of the first 1,000 rows of a data set, or of all if it has fewer.

    It depends on the values alone, not on the shape of the images, the blocks or the format. Bytes
    are hashed as they are, other numbers as float32.
    """

    def __init__(self) -> None:
        self._sha256, self._n_rows = hashlib.sha256(), 0

    def update(self, rows: Any) -> None:
        """Add the next block of rows or images, a NumPy array of shape (n, ...)."""
        first = rows[: 1000 - self._n_rows]
        self._n_rows += len(first)
        with np.errstate(all="ignore"):  # float64 may be too large for float32
            first = first if first.dtype.name == "uint8" else first.astype("<f4")
        self._sha256.update(first.tobytes())

    def text(self) -> str:
        """Return the hash of the rows up to now, as hexadecimal digits."""
        return self._sha256.hexdigest()


class ResultHash:
    """SHA-256 of outputs, shape (n, n_out) in blocks, and of `form`, their dtype and shape."""

    def __init__(self) -> None:
        self._sha256, self._n_rows, self.form = hashlib.sha256(), 0, ""

    def update(self, y: NDArray[Any]) -> None:
        """Add the outputs for the next rows, of the same dtype and number."""
        self._sha256.update(y.astype(y.dtype.newbyteorder("<"), copy=False).tobytes())
        self._n_rows += len(y)
        self.form = f"{y.dtype.name} {self._n_rows} x {y.shape[1]}\n"

    def text(self) -> str:
        """Return the hash of all outputs up to now, such as ``9f3c-02ab-77d1-e05b``."""
        digest = self._sha256.copy()
        digest.update(self.form.encode())
        return "-".join(digest.hexdigest()[i : i + 4] for i in range(0, 16, 4))
