"""torch: modules in memory, and files of a ``state_dict``.

`modules` returns the network of a module, recorded by `trace`. `reading` reads the files of
``torch.save``. torch itself is never imported.
"""

from xpnet.formats.torch.modules import from_torch
from xpnet.formats.torch.reading import read, read_headers
from xpnet.formats.torch.trace import TORCH_ACTIVATIONS

__all__ = ["TORCH_ACTIVATIONS", "from_torch", "read", "read_headers"]
