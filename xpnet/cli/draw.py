"""``xpnet draw``: a page of this machine's own on which an image is drawn and classified."""

import argparse
import os
import signal
import webbrowser
from contextlib import suppress
from functools import partial
from math import isqrt
from threading import Thread
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    from_args,
    not_negative_integer,
)
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, network_text, print_line
from xpnet.cli.scaled_rows import with_range
from xpnet.cli.streams import flush_output, print_note

if TYPE_CHECKING:
    from xpnet.networks.network import Network


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "draw",
        help="draw an image in the browser and see its prediction",
        description="Draw a digit by finger, pen or mouse in the browser, and see the prediction"
        " while you draw. The page is served by this process, to this machine alone, until Ctrl-C.",
        examples=("draw", "draw --model demo.safetensors --port 8000 --no-browser"),
    )
    add_device_arguments(parser, batch_size=False, threads=False)
    add_model_arguments(parser)
    text = "port of the page on 127.0.0.1 (default: a free one)"
    add_option(parser, "--port N", not_negative_integer, text)
    text = "print the address of the page only"
    parser.add_argument("--no-browser", action="store_true", help=text)
    add_common_arguments(parser, run, json=False)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.cli.draw_server import DrawServer

    options = from_args(DeviceOptions, args)
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
    if options.device == "auto":
        print_note(device.reason)
    network, side = for_pictures(model)
    classify = partial(probabilities, network)
    with suppress(ValueError):  # from NaN, which the page reports
        classify(bytes(network.n_in))  # a GPU starts, or fails, before the page is there
    facts = {
        "side": side,
        "names": [str(name) for name in network.classes or range(network.n_classes)],
        "isOfDigits": network.classes is None and network.n_classes == 10,
        "about": f"{model.name}: {network_text(network)}; {device}",
    }
    try:
        server = DrawServer(args.port or 0, facts, network.n_in, classify)
    except (OSError, OverflowError) as error:
        msg = f"--port {args.port or 0}: {getattr(error, 'strerror', None) or error}"
        raise UsageError(msg) from error
    try:
        with server:
            print_line(f"Draw at {server.address} (Ctrl-C ends it)")
            flush_output()
            if not args.no_browser:  # in a thread, since a browser may wait for the page
                Thread(target=open_browser, args=[server.address], daemon=True).start()
            server.serve_forever()
    except KeyboardInterrupt as interrupt:
        if interrupt.args == (signal.SIGTERM,):
            raise
    return Outcome()


def for_pictures(model: Model) -> "tuple[Network, int]":
    """Return the network for raw bytes, and the side of its square pictures; or UsageError."""
    import numpy as np

    n_in = model.network.n_in
    side = isqrt(n_in)
    if not model.network.n_classes:
        msg = f"draw shows the probabilities of classes; {model.name} is a regression"
        raise UsageError(msg)
    if side * side != n_in:
        msg = f"draw makes square pictures; {model.name} has {n_in:,} inputs, which is no square"
        raise UsageError(msg)
    return with_range(model, np.full((1, n_in), 255, np.uint8)), side


def probabilities(network: "Network", pixels: bytes) -> list[float]:
    """Return the probability of each class; raise ValueError for NaN and infinity."""
    import numpy as np

    from xpnet.inference.predict import predict_proba

    (shares,) = predict_proba(network, np.frombuffer(pixels, np.uint8)[None])
    if not np.isfinite(shares).all():
        msg = "The network gives NaN or infinity for this picture."
        raise ValueError(msg)
    return list(map(float, shares))


def open_browser(address: str) -> None:
    """Open a page; print a note if no browser can."""
    try:
        browser = webbrowser.get()
        # A browser in the terminal would take the keyboard, and cannot draw.
        is_in_terminal = type(browser) is webbrowser.GenericBrowser and "BROWSER" not in os.environ
        is_open = not is_in_terminal and browser.open(address)
    except (webbrowser.Error, OSError):
        is_open = False
    if not is_open:
        print_note(f"no browser could be opened: open {address} in one")
