"""xpnet: neural networks written once against the array API.

Functions and networks run on NumPy arrays, on CuPy arrays on a CUDA GPU, and on arrays of every
other array-API library. The public names are listed once, in `__init__.pyi`: for type checkers, and
for this file. Modules are imported on first use, so `import xpnet` takes little time.
"""


def _listed() -> tuple[dict[str, str], list[str]]:
    """Return the module of each public name, and the modules whose `__all__` is public."""
    import re
    from pathlib import Path

    stub = Path(__file__).with_suffix(".pyi").read_text("utf-8")
    lines = re.findall(r"^from (\S+) import (\([^)]+\)|.+)$", stub, re.MULTILINE)
    modules = {name: module for module, names in lines for name in re.findall(r"(\w+) as", names)}
    return modules, [module for module, names in lines if names == "*"]


def _functions() -> dict[str, object]:
    """Return the public functions of arrays, by name."""
    from importlib import import_module

    modules = map(import_module, _listed()[1])
    return {name: vars(module)[name] for module in modules for name in module.__all__}


def _names(*, with_estimators: bool) -> list[str]:
    """Return the public names, except for modules."""
    left_out = {"xpnet"} if with_estimators else {"xpnet", "xpnet.estimators"}
    return [x for x, module in _listed()[0].items() if module not in left_out] + [*_functions()]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    from importlib import import_module

    value: object = None
    if name == "__version__":
        from importlib.metadata import version

        value = version("xpnet")
    elif name == "__all__":  # `from xpnet import *` does not need scikit-learn
        value = _names(with_estimators=False)
    elif not name.startswith("_"):
        module = _listed()[0].get(name)
        if module == "xpnet":
            value = import_module(f"xpnet.{name}")
        else:
            value = getattr(import_module(module), name) if module else _functions().get(name)
    if value is None:
        msg = f"module 'xpnet' has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from importlib.util import find_spec

    names = _names(with_estimators=find_spec("sklearn") is not None)
    return [*names, "__version__", "parity", "testing"]
