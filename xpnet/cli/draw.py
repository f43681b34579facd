"""``xpnet draw``: a page on this machine on which an image is drawn and classified."""

import webbrowser
from contextlib import suppress
from math import isqrt
from threading import Thread
from typing import Any

from xpnet.cli.model import added_text, open_model, suited
from xpnet.cli.options import MODEL, Option
from xpnet.cli.report import Outcome, network_text
from xpnet.cli.streams import print_line, print_note, standard_output

HELP = (
    "Draw an image in the browser and see its prediction. Draw a digit by finger, pen or mouse; the"
    " page is served by this process, to this machine alone, until Ctrl-C."
)
EXAMPLES = ("draw", "draw --model demo.safetensors --port 8000 --no-browser")
OPTIONS = [
    *MODEL,
    Option("--port N", int, "port of the page on 127.0.0.1 (default: a free one)"),
    Option("--no-browser", None, "print the address of the page only"),
]


def run(*, port: int = 0, no_browser: bool = False, **given: Any) -> Outcome:
    """Run the command."""
    import numpy as np

    from xpnet.cli.draw_server import DrawServer
    from xpnet.inference.predict import predict_proba
    from xpnet.networks.input_range import FEWEST_PIXELS

    model, device = open_model(**given)
    n_in, side = model.network.n_in, isqrt(model.network.n_in)
    if model.network.output == "values":
        msg = f"draw shows the probabilities of classes; {model.name} is a regression"
        raise ValueError(msg)
    if n_in < FEWEST_PIXELS or side * side != n_in:
        rule = f"draw makes square pictures of at least {FEWEST_PIXELS} pixels"
        msg = f"{rule}; {model.name} has {n_in:,} inputs"
        raise ValueError(msg)
    white = np.full((1, n_in), 255, np.uint8)
    network = suited(model, white)
    if (added := added_text(model, network)) is not None:
        print_note(f"inputs {added}")
    predict_proba(network, white)  # a GPU starts, or fails, before the page is served
    facts = {
        "side": side,
        "names": [str(name) for name in network.classes or range(network.n_classes)],
        "about": f"{model.name}: {network_text(network)}; {device}",
    }
    try:
        server = DrawServer(port, facts, network)
    except (OSError, OverflowError) as error:
        msg = f"--port {port}: {getattr(error, 'strerror', None) or error}"
        raise ValueError(msg) from error
    with server, suppress(KeyboardInterrupt):
        with standard_output():
            print_line(f"Draw at {server.address} (Ctrl-C ends it)")
        if not no_browser:  # in a thread, since a browser may wait for the page
            Thread(target=open_browser, args=[server.address], daemon=True).start()
        server.serve_forever()
    return Outcome()


def open_browser(address: str) -> None:
    """Open a page; print a note if no browser can."""
    if not webbrowser.open(address):
        print_note(f"no browser could be opened: open {address} in one")
