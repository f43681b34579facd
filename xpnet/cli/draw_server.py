"""HTTP server of ``xpnet draw``: a page, and probabilities for the images that it sends."""

import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextvars import copy_context
from html import escape
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Lock
from typing import Any

_PAGE = Path(__file__).with_name("draw.html")
# The browser itself forbids the page to load or send anything elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DrawServer(ThreadingTCPServer):
    """Server on a port of 127.0.0.1; 0 is a free one.

    `facts` are for the page, `n_bytes` is the size of an image, and `classify` returns its
    probabilities. The page shows the errors of `classify`.
    """

    daemon_threads, request_queue_size = True, 128
    allow_reuse_address = os.name != "nt"  # on Windows, two servers would share a port

    def __init__(
        self,
        port: int,
        facts: Mapping[str, Any],
        n_bytes: int,
        classify: Callable[[bytes], list[float]],
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        number = self.server_address[1]
        suffix = "" if number == 80 else f":{number}"  # as browsers write it
        self.hosts = (f"127.0.0.1{suffix}", f"localhost{suffix}")
        self.address = f"http://{self.hosts[0]}/"
        self.page = _PAGE.read_text("utf-8").replace("FACTS", escape(json.dumps(facts)))
        self.n_bytes, self._classify = n_bytes, classify
        # The settings of NumPy's warnings are those of a context.
        self._context, self._lock = copy_context(), Lock()

    def classify(self, image: bytes) -> list[float]:
        """Return the probabilities of an image, one image at a time."""
        with self._lock:
            return self._context.run(self._classify, image)

    def handle_error(self, *_: object) -> None:
        """Ignore the error of a connection, which a browser may close at any time."""


class _Handler(BaseHTTPRequestHandler):
    server: DrawServer
    server_version, sys_version = "xpnet", ""
    timeout = 10.0  # seconds of waiting for a client

    def do_GET(self) -> None:
        if self._is_valid("/"):
            nonce = secrets.token_urlsafe(16)
            page = self.server.page.replace("NONCE", nonce)
            self._send(200, "text/html", page, _POLICY.format(nonce))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        if not self._is_valid("/predict"):
            return
        kind, n_bytes = "application/octet-stream", self.server.n_bytes
        size = self.headers["Content-Length"]
        is_image = self.headers.get_content_type() == kind and size == str(n_bytes)
        image = self.rfile.read(n_bytes) if is_image else b""
        if len(image) != n_bytes:
            self.send_error(400, f"send one image: {n_bytes} bytes of {kind}")
            return
        try:
            text = json.dumps(self.server.classify(image))
        except Exception as error:  # noqa: BLE001 (shown on the page)
            self.send_error(500, str(error) or type(error).__name__)
        else:
            self._send(200, "application/json", text)

    def _is_valid(self, path: str) -> bool:
        """Return whether the page of this server requests a path; otherwise send an error.

        Pages of other sites have another origin, or another host with the address 127.0.0.1.
        """
        host, *others = self.headers.get_all("Host", [""])
        own = [f"http://{host}"]
        origins = self.headers.get_all("Origin", [] if self.command == "POST" else own)
        if others or host not in self.server.hosts or origins != own:
            self.send_error(403, f"open {self.server.address} instead")
        elif self.path != path:
            self.send_error(404)
        else:
            return True
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._send(code, "text/plain", message or explain or self.responses[code][0])

    def _send(self, code: int, kind: str, text: str, policy: str = "default-src 'none'") -> None:
        body = text.encode("utf-8", "replace")
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
        }
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
