"""Playing in a web page: the server, asked as a browser and as a stranger would."""

import base64
import io
import json
import socket
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from jaxrl.play import web
from jaxrl.play.controls import PlayError
from jaxrl.play.game import Game


@pytest.fixture(scope="module")
def server():
    with web.Server(Game("CartPole-v1", seed=5), 0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server, path, body=None, **headers):
    """Status, headers and body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    if body is not None:
        headers = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(server.url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def state(server, *key):
    status, _, body = ask(server, "key", {"key": key[0]}) if key else ask(server, "state")
    assert status == 200
    return json.loads(body)


def test_only_this_machine_can_connect(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url.startswith("http://127.0.0.1:")


def test_keys_play_and_the_picture_is_the_game_s(server):
    state(server, "n")
    first = state(server)
    assert (first["step"], first["return"], first["ending"]) == (0, 0.0, "")
    after = state(server, "1")
    assert (after["step"], after["return"], after["reward"]) == (1, 1.0, 1.0)
    assert state(server)["step"] == 1  # looking plays nothing
    assert state(server, "unknown")["step"] == 1
    picture = Image.open(io.BytesIO(base64.b64decode(after["picture"])))
    np.testing.assert_array_equal(np.asarray(picture), server.game.frame())
    assert after["caption"] == ["step 1   return 1", "action 1   reward +1"]
    assert {"keys": "1", "what": "action 1"} in after["keys"]


def test_the_game_is_the_same_as_without_a_page(server):
    state(server, "n")
    episode = server.game._episode
    for key in "01":
        state(server, key)
    alone = Game("CartPole-v1", seed=5)
    for _ in range(episode):
        alone.new_episode()
    alone.act(0)
    alone.act(1)
    assert np.asarray(server.game.state.theta) == np.asarray(alone.state.theta)


def test_sections_are_told(server, monkeypatch):
    from jaxrl.play.controls import Entry, Section

    sections = (Section("bag", (Entry("wood", "3", True),)),)
    monkeypatch.setattr(server.game, "sections", lambda: sections)
    told = state(server)["sections"]
    assert told == [{"title": "bag", "entries": [{"name": "wood", "value": "3", "done": True}]}]


class Links(HTMLParser):
    """Collects what a page loads."""

    def __init__(self):
        super().__init__()
        self.found, self.ids = [], set()

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "action")]
        self.ids |= {value for name, value in attrs if name == "id"}


def test_the_page_loads_nothing_from_elsewhere(server):
    status, headers, body = ask(server, "")
    page = body.decode()
    links = Links()
    links.feed(page)
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert links.found == [] and "//" not in page.replace("// One", "")
    assert {"picture", "caption", "sections", "keys", "name", "error"} <= links.ids
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_strangers_are_refused(server):
    before = state(server)["step"]
    port = server.server_address[1]
    assert ask(server, "state", Host=f"evil.example:{port}")[0] == 403
    assert ask(server, "key", {"key": "1"}, Host=f"evil.example:{port}")[0] == 403
    assert ask(server, "key", {"key": "1"}, Origin="http://evil.example")[0] == 403
    assert ask(server, "state", Host=f"localhost:{port}")[0] == 200
    # A browser leaves the port out where it is 80.
    assert ask(server, "state", Host="127.0.0.1")[0] == 200
    assert ask(server, "state", Host="evil.example")[0] == 403
    assert ask(server, "state", Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert state(server)["step"] == before


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("nothing", None, {}, 404),
        ("state", {"key": "1"}, {}, 404),
        ("key", {"key": 1}, {}, 400),
        ("key", ["1"], {}, 400),
        ("key", {"key": "1"}, {"Content-Type": "text/plain"}, 400),
        ("key", {"key": "1" * 2000}, {}, 400),
        ("../pyproject.toml", None, {}, 404),
    ],
)
def test_what_cannot_be_answered_is_said(server, path, body, headers, status):
    before = state(server)["step"]
    got, _, answer = ask(server, path, body, **headers)
    assert got == status and json.loads(answer)["error"]
    assert state(server)["step"] == before


def test_a_port_in_use_is_named(server):
    port = server.server_address[1]
    with pytest.raises(PlayError, match=f"port {port} cannot be used .*; choose another"):
        web.Server(server.game, port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        with web.Server(server.game, 0):
            pass  # any free port


def test_a_port_that_is_none_is_refused(server):
    with pytest.raises(PlayError, match="a port is in 0..65535, got 70000"):
        web.Server(server.game, 70_000)
