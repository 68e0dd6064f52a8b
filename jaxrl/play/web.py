"""Playing in a web page that this machine serves to itself.

GET / is the page, GET /state what it shows, POST /key {"key": "left"} a key; where cells can be
selected, POST /point {"from": [0.1, 0.5], "to": [0.2, 0.5]} a pointer that was drawn over the
picture, in shares of its width and height, 0 to 1; answers are JSON. Only this machine can connect,
and only the page itself is answered: a page of somebody else's that is open in the same browser can
neither read nor play.
"""

import base64
import io
import json
import os
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

from PIL import Image

from jaxrl.play.board import Point
from jaxrl.play.controls import PlayError
from jaxrl.play.game import Game

HOST = "127.0.0.1"
_LONGEST = 1024  # bytes of a request
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        " script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"
    ),
}


class Server(ThreadingHTTPServer):
    """Serves one game; `serve_forever` plays until it is shut down."""

    daemon_threads = True
    # Where it only means that a port just left can be taken again; on Windows two could share it.
    allow_reuse_address = os.name != "nt"

    def __init__(self, game: Game, port: int):
        """Takes a port of this machine; 0 is any that is free.

        Raises:
            PlayError: it is no port, or it is taken.
        """
        if not 0 <= port <= 65535:
            raise PlayError(f"a port is in 0..65535, got {port}")
        self.game, self.lock = game, threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise PlayError(
                f"port {port} cannot be used ({error.strerror}); choose another with --port"
            ) from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"


def play(server: Server, say: Callable[[str], None]) -> None:
    """Serves until Ctrl-C; `say` is told where."""
    with server:
        say(f"{server.game.name} at {server.url} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")


def describe(game: Game) -> dict[str, Any]:
    """All that the page shows, as JSON values; `picture` is a PNG."""
    file = io.BytesIO()
    Image.fromarray(game.frame()).save(file, "PNG")
    return {
        "name": game.name,
        "picture": base64.b64encode(file.getvalue()).decode("ascii"),
        "caption": game.caption(),
        "step": game.step,
        "return": game.total,
        "reward": game.reward,
        "ending": game.ending,
        "sections": [
            {
                "title": section.title,
                "entries": [entry._asdict() for entry in section.entries],
            }
            for section in game.sections()
        ],
        "keys": [{"keys": keys, "what": what} for keys, what in game.controls.help(game.pad)],
        "pointer": game.controls.board is not None,
    }


def _point(body: dict[str, Any], name: str) -> Point:
    """A point of a request; PlayError unless it is two numbers from 0 to 1."""
    point = body.get(name)
    if isinstance(point, list) and len(point) == 2 and all(map(_is_share, point)):
        return float(point[0]), float(point[1])
    raise PlayError(f"{name!r} must be two numbers from 0 to 1, to the right and down")


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if not self._from_here():
            return
        if self.path == "/":
            page = resources.files("jaxrl.play").joinpath("page.html").read_bytes()
            self._answer(HTTPStatus.OK, page, "text/html; charset=utf-8")
        elif self.path == "/state":
            with self.server.lock:
                self._json(HTTPStatus.OK, describe(self.server.game))
        else:
            self._json(HTTPStatus.NOT_FOUND, {"error": "there is / and /state"})

    def do_POST(self) -> None:
        if not self._from_here():
            return
        play = {"/key": self._pressed, "/point": self._pointed}.get(self.path)
        if play is None:
            error = "keys go to /key, pointers to /point"
            self._json(HTTPStatus.NOT_FOUND, {"error": error})
            return
        try:
            body = self._body()
            with self.server.lock:
                play(body)
                self._json(HTTPStatus.OK, describe(self.server.game))
        except PlayError as error:
            # What is left of the request would be read as the next one.
            self.close_connection = True
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""

    def _pressed(self, body: dict[str, Any]) -> None:
        key = body.get("key")
        if not isinstance(key, str):
            raise PlayError('expected {"key": "left"}')
        self.server.game.press(key)

    def _pointed(self, body: dict[str, Any]) -> None:
        self.server.game.point(_point(body, "from"), _point(body, "to"))

    def _body(self) -> dict[str, Any]:
        """The JSON object of a request; PlayError if it is none.

        Another site's page cannot send this content type without being allowed to.
        """
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get_content_type()
        if kind != "application/json" or not length.isdecimal() or int(length) > _LONGEST:
            raise PlayError(f"expected application/json of at most {_LONGEST} bytes")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise PlayError("expected a JSON object")
        return body

    def _from_here(self) -> bool:
        """Refuses names of other machines: a name may be made to point here by its owner."""
        name = self.headers.get("Host", "").partition(":")[0]
        origin = self.headers.get("Origin")
        known = name in (HOST, "localhost")
        if known and origin in (None, f"http://{self.headers['Host']}"):
            return True
        self.close_connection = True
        self._json(HTTPStatus.FORBIDDEN, {"error": f"only {HOST} is answered"})
        return False

    def _json(self, status: HTTPStatus, record: dict[str, Any]) -> None:
        self._answer(status, json.dumps(record).encode(), "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
