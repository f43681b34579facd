"""Names of a network's inputs: those of the columns of the table that it was trained on.

They are an entry of the metadata, which every file format keeps: a JSON list of strings.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from xpnet.networks.network import Network
    from xpnet.networks.network_data import NetworkData

__all__ = ["in_order", "input_names", "names_of", "positions", "with_input_names"]

_KEY = "inputs"
# More columns are pixels, which data sets name differently.
_MOST_NAMES = 63


def input_names(network: "NetworkData") -> list[str] | None:
    """Return the names of the inputs, in their order; None if they have none.

    Raise ValueError if the entry of the metadata is not a JSON list of a name for each.
    """
    text, n = network.metadata.get(_KEY), network.n_in
    if text is None:
        return None
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or not len(names) == len(set(names)) == n:
        rule = f"must have a JSON list of {n} different names for {_KEY!r}"
        msg = f"`metadata` {rule}; got {text:.99}"
        raise ValueError(msg)
    return names


def with_input_names(network: "Network", names: Sequence[str] | None) -> "Network":
    """Return the network with names of its inputs, unless it has some, or 64 inputs and more.

    Another number of names than of inputs has no effect: the columns raise the error.
    """
    n = network.n_in
    if names is None or len(names) != n or n > _MOST_NAMES or _KEY in network.metadata:
        return network
    if len(set(names)) < n:
        msg = f"columns must have different names; got {list(names)}"
        raise ValueError(msg)
    text = json.dumps(list(names), ensure_ascii=False)
    return replace(network, metadata={**network.metadata, _KEY: text})


def positions(network: "Network", names: Sequence[str] | None) -> list[int] | None:
    """Return the position of each input among columns with these names.

    None means that columns are taken as they are: they or the inputs have no names. Raise
    DataError if a name is missing, unknown or doubled.
    """
    expected = input_names(network)
    if names is None or expected is None:
        return None
    if sorted(names) != sorted(expected):
        missing = [name for name in expected if name not in names]
        msg = f"columns must be those of the training, {expected}; got {list(names)}"
        raise DataError(f"{msg}, without {missing}" if missing else msg)
    return [list(names).index(name) for name in expected]


def in_order(network: "Network", x: Any) -> Any:
    """Return a data frame's columns in the order of the inputs, and other objects unchanged."""
    if (names := names_of(x)) is None or (order := positions(network, names)) is None:
        return x
    return x[[names[i] for i in order]]


def names_of(x: Any) -> list[str] | None:
    """Return the names of a data frame's columns; None for others, and for numbered columns.

    Raise TypeError if only some columns have names.
    """
    names = list(getattr(x, "columns", ()))
    are_named = {isinstance(name, str) for name in names}
    if len(are_named) > 1:
        msg = f"columns must all have names, or none of them; got {names}"
        raise TypeError(msg)
    return names if are_named == {True} else None
