"""``xpnet draw``: its server and its process."""

import http.client
import json
import re
import socket
import threading
from functools import partial
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet import Dense, Network, load, predict_proba, sample
from xpnet.cli.draw_server import DrawServer

NAMES = ["ANNONCE", "FACTS", "</script><b>", "\"'&amp;\\é"]


@pytest.fixture
def server(capfd):
    """Return a server that must print nothing."""
    with DrawServer(0, {"names": NAMES}, load("sample")) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    assert capfd.readouterr() == ("", "")


def send(server, method="GET", path="/", body=b"", **headers):
    """Return status and body of an answer; headers are lists of values, {} the server's host."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=30)
    own = {"Host": ["{}"], "Origin": ["http://{}"], "Content_Length": [str(len(body))]}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, values in {**own, **headers}.items():
        for value in values:
            connection.putheader(name.replace("_", "-"), value.format(server.hosts[0]))
    connection.endheaders(body)
    with connection.getresponse() as reply:
        return reply.status, reply.read().decode()


def facts_of(page):
    return json.loads(unescape(re.search(r'data-facts="([^"]*)"', page)[1]))


def test_names_are_escaped_and_remain_as_they_are(server):
    status, page = send(server, Origin=[])
    assert (status, facts_of(page)) == (200, {"names": NAMES})
    assert page.count("</script>") == 1
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_an_image_is_classified(server, name):
    image, host = sample()[0][5].reshape(1, -1), f"{name}:{server.server_address[1]}"
    headers = {"Host": [host], "Origin": [f"http://{host}"]}
    status, text = send(server, "POST", "/predict", image.tobytes(), **headers)
    assert status == 200
    np.testing.assert_allclose([json.loads(text)], predict_proba(load("sample"), image), atol=1e-6)


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/predict")])
@pytest.mark.parametrize(
    ("hosts", "origins"),
    [
        ([], ["http://{}"]),
        (["evil.example"], ["http://evil.example"]),
        (["127.0.0.1"], ["http://127.0.0.1"]),
        (["{}", "{}"], ["http://{}", "http://{}"]),
        (["{}"], ["null"]),
        (["{}"], ["https://{}"]),
        (["{}"], ["http://{}", "http://evil.example"]),
    ],
)
def test_pages_of_others_are_rejected(server, method, path, hosts, origins):
    expected = 403, f"open {server.address} instead"
    assert send(server, method, path, bytes(784), Host=hosts, Origin=origins) == expected
    assert send(server, "POST", "/predict", bytes(784), Origin=[]) == expected


@pytest.mark.parametrize(
    ("request_line", "status", "sizes"),
    [
        # No body is sent: a server that reads one would wait for it.
        ("POST /predict", 400, ([], ["783"], ["-1"], ["9" * 30], ["many"])),
        ("POST /", 404, (["784"],)),
        ("GET /predict", 404, ([],)),
        ("GET /../draw.py", 404, ([],)),
        ("HEAD /", 501, ([],)),
    ],
)
def test_other_sizes_paths_and_methods(server, request_line, status, sizes):
    for size in sizes:
        assert send(server, *request_line.split(), Content_Length=size)[0] == status


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: ", b"\0\xff\r\n\r\n"])
def test_a_slow_or_wrong_client_holds_up_nobody(server, monkeypatch, start):
    monkeypatch.setattr(server.RequestHandlerClass, "timeout", 0.1)
    with socket.create_connection(server.server_address, timeout=30) as connection:
        connection.sendall(start)
        assert send(server)[0] == 200
        assert b" 200 " not in connection.recv(1000)  # closed by the server


def test_nan_is_an_error(server):
    server.network = Network([Dense(np.full((784, 2), 3e38, "f4"), np.zeros(2, "f4"))])
    text = "The network gives NaN or infinity for this picture."
    assert send(server, "POST", "/predict", bytes([1] * 784)) == (500, text)


@pytest.mark.parametrize(("is_open", "n_notes"), [(True, 0), (False, 1)])
def test_the_page_of_a_file_is_opened(xpnet, save_network, monkeypatch, is_open, n_notes):
    servers, opened = [], []

    def serve_forever(server):
        servers.append(server)
        raise KeyboardInterrupt

    monkeypatch.setattr(DrawServer, "serve_forever", serve_forever)
    at_once = lambda target, args, **_: SimpleNamespace(start=partial(target, *args))
    monkeypatch.setattr("xpnet.cli.draw.Thread", at_once)
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or is_open)
    result = xpnet("draw", "--model", save_network(3, 64, classes=NAMES[:3]))
    address, facts = servers[0].address, facts_of(servers[0].page)
    assert (result.code, result.out) == (0, f"Draw at {address} (Ctrl-C ends it)\n")
    note = f"xpnet: no browser could be opened: open {address} in one\n"
    assert (opened, result.err) == ([address], note * n_notes)
    assert (facts["side"], facts["names"]) == (8, NAMES[:3])


@pytest.mark.parametrize("n_in", [49, 65], ids=["small", "no square"])
def test_inputs_that_are_no_picture(refused, save_network, monkeypatch, n_in):
    monkeypatch.setattr(DrawServer, "serve_forever", lambda _: None)
    code, line = refused("draw", "--no-browser", "--model", save_network(3, n_in))
    assert (code, f" has {n_in} inputs" in line) == (2, True)


def test_ports_that_cannot_be_used(refused):
    with socket.create_server(("127.0.0.1", 0)) as other:
        used = str(other.getsockname()[1])
        for port, reason in ((used, " Address already in use\n"), ("65536", "")):
            code, line = refused("draw", "--no-browser", "--port", port)
            assert (code, line.startswith(f"xpnet: --port {port}:{reason}")) == (2, True)
