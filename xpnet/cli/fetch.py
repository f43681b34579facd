"""``xpnet fetch``: download of a data set into the cache."""

from xpnet.cli.options import JSON, Option
from xpnet.cli.report import Outcome

HELP = (
    "Download MNIST or Fashion-MNIST into the cache. Its checksums are verified; it is kept in the"
    " user's cache folder, or in the folder that the variable XPNET_CACHE names. Afterwards its"
    " name stands for DATA: xpnet evaluate mnist. Needs pooch."
)
EXAMPLES = ("fetch mnist", "fetch fashion-mnist")
OPTIONS = [Option("NAME", str, "mnist or fashion-mnist", {"dest": "name"}), JSON]


def run(name: str, **_: object) -> Outcome:
    """Run the command."""
    from xpnet.datasets.fetch import FILES, fetch

    folder = fetch(name)
    n_bytes = sum((folder / file).stat().st_size for file in FILES)
    facts = {"name": name, "folder": str(folder), "bytes": n_bytes}
    return Outcome(facts, {"folder": f"{folder} ({n_bytes:,} bytes)"})
