"""Pages of public names, from the lists ```{autosummary} of the reference pages.

A line such as ``xpnet.functions.sigmoids.*`` stands for the names in the module's `__all__`.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["hide_machinery", "lists_as_rst", "names_of", "write_stubs"]

# Public methods that the package itself needs; readers do not.
_INTERNAL = {
    *("activation_text", "add", "compute", "fields", "functions", "is_better_than", "largest"),
    *("map_arrays", "ordinary", "overwrite", "plan", "rounded", "rows_on_one_thread", "stage"),
    *("stages", "suits_bytes", "widened"),
}
_ATTRIBUTES = re.compile(r"^Attributes\n-+\n(.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
_LIST = re.compile(
    r"^```\{autosummary\}\n(?P<options>(?::[^\n]*\n)*)\n(?P<names>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def names_of(lines: str) -> list[str]:
    """Return the public names of a list."""
    names: list[str] = []
    for line in lines.split():
        module = line.removesuffix(".*")
        public = import_module(module).__all__ if line.endswith(".*") else []
        names += [f"xpnet.{name}" for name in public] or [line]
    return names


def write_stubs(folder: Path) -> None:
    """Write the folder "generated": a page for each name in the lists of a folder's pages."""
    generated = folder / "generated"
    generated.mkdir(exist_ok=True)
    text = "\n".join(page.read_text("utf-8") for page in folder.glob("*.md"))
    names = [name for block in _LIST.finditer(text) for name in names_of(block["names"])]
    stubs = {generated / f"{name}.rst": stub_of(name) for name in names}
    for path in {*generated.glob("*.rst")} - {*stubs}:
        path.unlink()
    for path, stub in stubs.items():
        if not path.exists() or path.read_text("utf-8") != stub:  # a newer file is read again
            path.write_text(stub, "utf-8")


def stub_of(name: str) -> str:
    """Return the page of a public name: of a class, with the members that xpnet defines."""
    module, _, attribute = name.rpartition(".")
    value = getattr(import_module(module), attribute)
    head = [":orphan:", "", attribute, "=" * len(attribute), "", f".. currentmodule:: {module}", ""]
    if not inspect.isclass(value) or value.__name__ != attribute:  # the text of an alias is lost
        return "\n".join([*head, f".. autofunction:: {attribute}", ""])
    kind = "exception" if issubclass(value, Exception) else "class"
    owners = (base for base in value.__mro__ if base.__module__.startswith("xpnet"))
    told = attributes_of(value)
    members = [
        name
        for owner in owners
        for name, member in vars(owner).items()
        if name not in told and shown(name, member)
    ]
    lines = [f".. auto{kind}:: {attribute}"]
    lines += [f"   :members: {', '.join(dict.fromkeys(members))}"] if members else []
    return "\n".join([*head, *lines, ""])


def shown(name: str, member: object) -> bool:
    """Return whether a member of a class is public, a method or property, and documented."""
    is_ours = not type(member).__module__.startswith("sklearn")  # it adds methods to subclasses
    is_code = inspect.isroutine(member) or inspect.isdatadescriptor(member)
    is_public = not name.startswith("_") and name not in _INTERNAL
    return is_ours and is_code and is_public and bool(member.__doc__)


def attributes_of(value: type) -> set[str]:
    """Return the names in the section Attributes of a class."""
    found = _ATTRIBUTES.search(inspect.getdoc(value) or "")
    names = re.findall(r"^(\w.*?) :", found[1], re.MULTILINE) if found else []
    return set(", ".join(names).split(", "))


def hide_machinery(
    _: Any, what: str, __: str, value: Any, ___: Any, signature: str | None, ____: str | None
) -> tuple[str, None] | None:
    """Return the signature of a class; none for results, which only xpnet creates."""
    if what != "class" or signature is None:
        return None
    is_result = "Parameters\n----" not in (inspect.getdoc(value) or "")
    return "" if is_result else signature.replace("<factory>", "{}"), None


def lists_as_rst(page: str) -> str:
    """Return a page whose lists are reStructuredText, the only form that autosummary reads."""
    return _LIST.sub(_as_rst, page)


def _as_rst(block: re.Match[str]) -> str:
    options = [":nosignatures:", *block["options"].splitlines()]  # a phone has no room for them
    lines = [".. autosummary::", *options, "", *names_of(block["names"])]
    return "```{eval-rst}\n" + "\n   ".join(lines) + "\n```"
