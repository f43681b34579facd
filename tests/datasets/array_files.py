"""Arrays as the content of IDX, npy and npz files."""

import io

import numpy as np

__all__ = ["idx", "npy", "npz"]


def idx(array):
    array = np.asarray(array, np.uint8)
    header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def npy(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def npz(**arrays):
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()
