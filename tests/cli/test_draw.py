"""``xpnet draw``: its server and its process."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from xpnet import Dense, Network, Scale, init_network, load, predict_proba, sample, save
from xpnet.cli import draw, draw_server
from xpnet.cli.models import Model

KIND = "application/octet-stream"
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\n"
)


def classify_first(image):
    """Return the first two bytes as probabilities; fail for 9."""
    if image[0] == 9:
        msg = "nine is too much"
        raise ValueError(msg)
    return [image[0] / 10, image[1] / 10]


@contextmanager
def serving(classify=classify_first, n_bytes=4, facts=None):
    with draw_server.DrawServer(0, facts or {}, n_bytes, classify) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(capfd):
    """Return a server that must print nothing."""
    with serving(facts={"names": ["</script>", '"é"']}) as server:
        yield server
    assert capfd.readouterr() == ("", "")


def send(server, method="GET", path="/", body=None, **headers):
    """Return status, headers and body of an answer; None leaves out a header that is sent."""
    own = {"Host": server.hosts[0], "Origin": f"http://{server.hosts[0]}", "Content-Type": KIND}
    given = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body is not None:
        given.setdefault("Content-Length", str(len(body)))
    connection = http.client.HTTPConnection(*server.server_address, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            for each in [value] if isinstance(value, str) else value or []:
                connection.putheader(name, each)
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read().decode()
    finally:
        connection.close()


def test_the_page(server):
    status, headers, page = send(server, Origin=None)
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Server"].strip() == "xpnet"
    (facts,) = re.findall(r'data-facts="([^"]*)"', page)
    assert (
        facts
        == "{&quot;names&quot;: [&quot;&lt;/script&gt;&quot;, &quot;\\&quot;\\u00e9\\&quot;&quot;]}"
    )
    assert "https:" not in page
    assert "http:" not in page


def test_only_the_script_and_the_style_of_the_page_run(server):
    nonces = set()
    for _ in range(2):
        _, headers, page = send(server)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
        assert re.findall(r'<(\w+) nonce="([^"]+)"', page) == [("style", nonce), ("script", nonce)]
        nonces.add(nonce)
    assert len(nonces) == 2


def test_head_has_no_body(server):
    status, headers, body = send(server, "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) == len(send(server)[2].encode())
    assert send(server, "HEAD", "/favicon.ico")[::2] == (404, "")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/predict")])
@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", ["own", "own"]]
)
def test_another_host_is_rejected(server, method, path, host):
    hosts = [server.hosts[0]] * 2 if isinstance(host, list) else host
    status, _, text = send(server, method, path, bytes(4), Host=hosts)
    assert (status, text) == (403, f"open {server.address} instead")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/predict")])
@pytest.mark.parametrize("origin", ["null", "http://evil.example", "https://{}", "http://{}/"])
def test_another_origin_is_rejected(server, method, path, origin):
    origin = origin.format(server.hosts[0])
    assert send(server, method, path, bytes(4), Origin=origin)[0] == 403


def test_an_image_needs_an_origin(server):
    assert send(server, "POST", "/predict", bytes(4), Origin=None)[0] == 403


def test_both_names_of_this_machine(server):
    local = server.hosts[1]
    assert local == f"localhost:{server.server_address[1]}"
    assert send(server, Host=local, Origin=None)[0] == 200
    image, own = bytes([3, 7, 0, 0]), f"http://{local}"
    assert send(server, "POST", "/predict", image, Host=local, Origin=own)[::2] == (
        200,
        "[0.3, 0.7]",
    )
    assert send(server, "POST", "/predict", image, Host=local)[0] == 403  # the origin differs


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (bytes(3), {}),
        (bytes(5), {}),
        (bytes(4), {"Content_Length": None}),
        (bytes(4), {"Content_Length": "four"}),
        (bytes(4), {"Content_Length": "-1"}),
        (bytes(4), {"Content_Length": "9" * 30}),
        (bytes(4), {"Content_Length": None, "Transfer_Encoding": "chunked"}),
        (bytes(4), {"Content_Type": "text/plain"}),
        (bytes(4), {"Content_Type": None}),
    ],
)
def test_a_body_is_one_image(server, body, headers):
    status, _, text = send(server, "POST", "/predict", body, **headers)
    assert (status, text) == (400, f"send one image: 4 bytes of {KIND}")


def test_an_error_of_the_computation_is_sent(server):
    status, headers, text = send(server, "POST", "/predict", bytes([9, 0, 0, 0]))
    assert (status, text) == (500, "nine is too much")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 404),
        ("GET", "/?", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/", 404),
        ("PUT", "/predict", 501),
        ("OPTIONS", "/predict", 501),
        ("DELETE", "/", 501),
    ],
)
def test_other_paths_and_methods(server, method, path, status):
    assert send(server, method, path, bytes(4))[0] == status


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\nHost: ",
        HEAD + b"ab",
    ],
)
def test_a_connection_times_out(server, monkeypatch, start):
    monkeypatch.setattr("xpnet.cli.draw_server._Handler.timeout", 0.1)
    with socket.create_connection(server.server_address, timeout=30) as connection:
        connection.sendall(start.replace(b"{host}", server.hosts[0].encode()))
        assert connection.recv(1000) == b""  # closed by the server
    assert send(server)[0] == 200


@pytest.mark.parametrize(
    "line", [b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 70_000 + b"\r\n"]
)
def test_what_is_no_request(server, line):
    with socket.create_connection(server.server_address, timeout=30) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        text = connection.recv(1000).decode("latin-1")
    assert re.search(r"^HTTP/1.0 (400|414|505) ", text, re.MULTILINE) or "(" in text
    assert send(server)[0] == 200


def test_a_client_that_leaves_is_not_reported(capfd):
    is_computing, may_go_on = threading.Event(), threading.Event()

    def classify(_):
        is_computing.set()
        assert may_go_on.wait(30)
        return [0.0] * 1_000_000  # more than fits into the buffers of a connection

    with serving(classify) as server:
        with socket.create_connection(server.server_address) as connection:
            # Closing resets the connection at once.
            linger = b"\1\0\0\0\0\0\0\0"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(HEAD.replace(b"{host}", server.hosts[0].encode()) + b"abcd")
            assert is_computing.wait(30)
        may_go_on.set()
        assert send(server)[0] == 200
    assert capfd.readouterr() == ("", "")


def test_one_image_is_computed_at_a_time():
    running, most = [], []

    def classify(image):
        running.append(image)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(image)
        return [image[0] / 10]

    with serving(classify) as server:
        found = {}
        send_one = partial(send, server, "POST", "/predict")
        threads = [
            threading.Thread(target=lambda i=i: found.update({i: send_one(bytes([i, 0, 0, 0]))[2]}))
            for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {i: json.loads(text) for i, text in found.items()} == {i: [i / 10] for i in range(8)}
    assert most == [1] * 8


def test_nothing_listens_on_other_addresses(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("is_own", [True, False])
def test_bytes_are_scaled_as_by_predict(is_own):
    """A network of another program gets bytes divided by 255."""
    trained = load("sample")
    network = Network(trained.layers, trained.preprocessing if is_own else ())
    for_bytes, side = draw.for_pictures(Model(network, "a.onnx", is_own))
    images = sample()[0][:5].reshape(5, -1)
    found = [draw.probabilities(for_bytes, image.tobytes()) for image in images]
    # One image at a time, so other last digits.
    np.testing.assert_allclose(found, predict_proba(trained, images), atol=1e-6)
    assert side == 28


def test_nan_is_an_error():
    network = Network([Dense(np.full((4, 2), 3e38, "f4"), np.zeros(2, "f4"))])
    with pytest.raises(ValueError, match="The network gives NaN or infinity for this picture"):
        draw.probabilities(network, bytes([255] * 4))
    assert draw.probabilities(network, bytes(4)) == [0.5, 0.5]


@pytest.fixture
def command(xpnet, monkeypatch):
    """Run the command to the point where its server would wait for Ctrl-C."""
    servers = []

    def serve_forever(server):
        servers.append(server)
        raise KeyboardInterrupt(signal.SIGINT)

    def run(*words):
        result = xpnet("draw", *words)
        (server,) = servers
        assert (result.code, result.out) == (0, f"Draw at {server.address} (Ctrl-C ends it)\n")
        return result, json.loads(re.search("{.*}", server.page)[0].replace("&quot;", '"'))

    monkeypatch.setattr(draw_server.DrawServer, "serve_forever", serve_forever)
    return run


def test_facts_of_the_page(command):
    result, facts = command("--no-browser")
    assert result.err == ""
    assert facts == {
        "side": 28,
        "names": list("0123456789"),
        "isOfDigits": True,
        "about": "sample: 784 -&gt; 50 sigmoid -&gt; 100 sigmoid -&gt; 10 identity; Scale(1 / 255);"
        " logits; float32, numpy; cpu",
    }


def test_names_of_classes(command, tmp_path):
    network = init_network([64, 3], preprocessing=Scale(1 / 255))
    network = Network(network.layers, preprocessing=network.preprocessing, classes=["a", "b", "c"])
    save(network, tmp_path / "net.npz")
    _, facts = command("--no-browser", "--model", tmp_path / "net.npz")
    assert (facts["side"], facts["names"], facts["isOfDigits"]) == (8, ["a", "b", "c"], False)


def test_one_output_has_two_classes(command, tmp_path):
    save(init_network([9, 1], preprocessing=Scale(1 / 255)), tmp_path / "net.npz")
    _, facts = command("--no-browser", "--model", tmp_path / "net.npz")
    assert facts["names"] == ["0", "1"]


@pytest.mark.parametrize(
    ("sizes", "options", "text"),
    [
        ([5, 3], {}, "draw makes square pictures; {} has 5 inputs, which is no square"),
        (
            [9, 3],
            {"output": "values"},
            "draw shows the probabilities of classes; {} is a regression",
        ),
    ],
)
def test_networks_without_pictures_or_classes(refused, tmp_path, sizes, options, text):
    network, path = init_network(sizes), tmp_path / "net.npz"
    save(Network(network.layers, **options), path)
    assert refused("draw", "--no-browser", "--model", path) == (2, f"xpnet: {text.format(path)}\n")


@pytest.mark.parametrize(
    ("port", "text"),
    [
        ("-1", "argument --port: must be an integer of at least 0; got '-1'"),
        ("http", "argument --port: must be an integer of at least 0; got 'http'"),
        ("65536", "--port 65536: bind(): port must be 0-65535"),
    ],
)
def test_numbers_that_are_no_port(refused, port, text):
    code, line = refused("draw", "--no-browser", "--port", port)
    assert code == 2
    assert line.startswith(f"xpnet: {text}")


def test_a_port_in_use(refused):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, line = refused("draw", "--no-browser", "--port", str(port))
    assert code == 2
    assert re.fullmatch(rf"xpnet: --port {port}: Address already in use\n", line)


class Browser:
    def __init__(self, result):
        self.result, self.opened = result, []

    def open(self, address):
        self.opened.append(address)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize("result", [True, False, OSError("no display"), webbrowser.Error("none")])
def test_the_browser_opens_the_page(monkeypatch, capsys, result):
    browser = Browser(result)
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    draw.open_browser("http://127.0.0.1:1/")
    assert browser.opened == ["http://127.0.0.1:1/"]
    note = "xpnet: no browser could be opened: open http://127.0.0.1:1/ in one\n"
    assert capsys.readouterr().err == ("" if result is True else note)


def test_no_browser_of_the_terminal_is_opened(monkeypatch, capsys):
    browser = webbrowser.GenericBrowser("false")
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(browser, "open", lambda _: pytest.fail("opened"))
    draw.open_browser("http://127.0.0.1:1/")
    assert "no browser could be opened" in capsys.readouterr().err


def test_the_browser_is_opened_unless_asked_not_to(command, monkeypatch):
    opened, is_open = [], threading.Event()
    monkeypatch.setattr(
        draw, "open_browser", lambda address: (opened.append(address), is_open.set())
    )
    result, _ = command()
    assert is_open.wait(30)
    assert result.out == f"Draw at {opened[0]} (Ctrl-C ends it)\n"


# Python with signals at their default, which may be ignored in the process of the tests.
FIRST = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def started(*words):
    """Start the command, yield the process and its address, and end it."""
    python = [sys.executable, "-X", "dev", "-W", "error", "-m", "xpnet", "draw", "--no-browser"]
    command = [sys.executable, "-I", "-S", "-c", FIRST, *python, *map(str, words)]
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            line = process.stdout.readline()
            yield process, re.fullmatch(r"Draw at (\S+) \(Ctrl-C ends it\)\n", line)[1]
        finally:
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="needs the signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code", "text"),
    [(signal.SIGINT, 0, ""), (signal.SIGTERM, 143, "xpnet: terminated\n")],
)
def test_ctrl_c_ends_it(number, code, text):
    with started() as (process, address):
        host, port = re.fullmatch(r"http://([^:]+):(\d+)/", address).groups()
        idle = socket.create_connection((host, int(port)))  # does not hold it up
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().read().endswith(b"</html>\n")
        connection.close()
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("", text)
        idle.close()
    assert process.returncode == code
