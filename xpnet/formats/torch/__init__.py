"""torch: modules in memory, and files of a ``state_dict``.

`modules` returns the network of a module, whose graph it reads by `operators`. `reading` reads the
files of ``torch.save`` with the restricted interpreter of `pickles`. Only modules import torch.
"""

from xpnet.formats.torch.modules import TORCH_ACTIVATIONS, from_torch
from xpnet.formats.torch.reading import read, read_headers

__all__ = ["TORCH_ACTIVATIONS", "from_torch", "read", "read_headers"]
