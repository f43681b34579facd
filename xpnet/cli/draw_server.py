"""HTTP server of ``xpnet draw``: a page, and probabilities for the images that it sends."""

import json
import os
from html import escape
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

import numpy as np

from xpnet.arrays.namespace import without_warnings
from xpnet.inference.predict import predict_proba
from xpnet.networks.network import Network

_PAGE = Path(__file__).with_name("draw.html")
# The browser lets the page load and send nothing elsewhere.
_POLICY = "default-src 'unsafe-inline'; img-src data:; connect-src 'self'; frame-ancestors 'none'"


class DrawServer(ThreadingTCPServer):
    """Server on a port of 127.0.0.1, or on a free one for 0; `facts` are for the page."""

    daemon_threads, request_queue_size = True, 128
    allow_reuse_address = os.name != "nt"  # on Windows, two servers would share a port

    def __init__(self, port: int, facts: dict[str, Any], network: Network) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        number = self.server_address[1]
        suffix = "" if number == 80 else f":{number}"  # as browsers write it
        self.hosts = (f"127.0.0.1{suffix}", f"localhost{suffix}")
        self.address = f"http://{self.hosts[0]}/"
        self.page = _PAGE.read_text("utf-8").replace("FACTS", escape(json.dumps(facts)))
        self.network = network

    def classify(self, image: bytes) -> list[float]:
        """Return the probabilities of an image; raise ValueError for NaN."""
        with without_warnings():  # each thread has NumPy's defaults
            (shares,) = predict_proba(self.network, np.frombuffer(image, np.uint8)[None])
        if not np.isfinite(shares).all():
            msg = "The network gives NaN or infinity for this picture."
            raise ValueError(msg)
        return list(map(float, shares))

    def handle_error(self, *_: object) -> None:
        """Ignore the error of a connection, which a browser may close at any time."""


class _Handler(BaseHTTPRequestHandler):
    server: DrawServer
    server_version, sys_version = "xpnet", ""
    timeout = 10.0  # seconds of waiting for a client

    def do_GET(self) -> None:
        if self._is_for("/"):
            self._send(200, "text/html", self.server.page)

    def do_POST(self) -> None:
        size = self.server.network.n_in
        if not self._is_for("/predict"):
            return
        if self.headers["Content-Length"] != str(size):
            self._send(400, "text/plain", f"send one image of {size} bytes")
            return
        try:
            shares = self.server.classify(self.rfile.read(size))
        except Exception as error:  # noqa: BLE001 (shown on the page)
            self._send(500, "text/plain", str(error) or type(error).__name__)
        else:
            self._send(200, "application/json", json.dumps(shares))

    def _is_for(self, path: str) -> bool:
        """Return whether the page of this server requests a path; otherwise send an error.

        Pages of other sites have another origin, or another host with the address 127.0.0.1.
        """
        hosts = self.headers.get_all("Host", [])
        own = [f"http://{host}" for host in hosts]
        origins = self.headers.get_all("Origin", own if self.command == "GET" else [])
        is_own = len(hosts) == 1 and hosts[0] in self.server.hosts and origins == own
        if not is_own:
            self._send(403, "text/plain", f"open {self.server.address} instead")
        elif self.path != path:
            self._send(404, "text/plain", "not found")
        return is_own and self.path == path

    def _send(self, code: int, kind: str, text: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
