"""HTTP on 127.0.0.1, and nowhere else: reads a request, sends the answer that it is given.

There is no way to make it listen on another address. After `close` none of its threads is left,
whatever its clients do. What is not HTTP, too large or without a length is refused in the API's
own envelope.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, final

from attractor.rehearsal import reply
from attractor.rehearsal.reply import Reply

LOOPBACK: Final = "127.0.0.1"
MOST_BYTES: Final = 64 * 1024 * 1024
_IDLE_SECONDS: Final = 600.0
_JOIN_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05  # how soon `close` is noticed; costs nothing that a session would feel

Answer = Callable[[str, str, Mapping[str, str], bytes], Reply]
_Connection = socket.socket | tuple[bytes, socket.socket]


@final
class Listener(ThreadingHTTPServer):
    """Knows its connections, so that it can end them."""

    daemon_threads = True  # a program that crashes must not hang here
    block_on_close = False  # `close` waits itself, after it has woken them

    def __init__(self, port: int, answer: Answer, monotonic: Callable[[], float]) -> None:
        self.answer = answer
        self.monotonic = monotonic
        self.closing = threading.Event()
        self._open: dict[_Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        super().__init__((LOOPBACK, port), _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), daemon=True
        )

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, end every connection, and wait until their threads are gone."""
        self.closing.set()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join(_JOIN_SECONDS)
        self.server_close()
        with self._lock:
            left = dict(self._open)
        for connection, thread in left.items():
            assert isinstance(connection, socket.socket)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(_JOIN_SECONDS)

    def process_request(self, request: _Connection, client_address: object) -> None:
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: _Connection) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: _Connection, client_address: object) -> None:
        """Say nothing of a client that went away; anything else is a bug of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@final
class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True  # a slow stream's parts leave when they are written
    server: Listener

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            self.send_error(411)
        elif int(length) > MOST_BYTES:
            self.send_error(413)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):  # else the client has gone
                self._answer(body)

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in the API's envelope; what follows on this connection cannot be understood."""
        del explain
        self.close_connection = True
        self._send(reply.error(code if code in (411, 413) else 400, message or "", ""))

    def log_message(self, *_: object) -> None:
        """Say nothing: the record of requests is kept elsewhere."""

    def _answer(self, body: bytes) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        self._send(self.server.answer(self.command, self.path, headers, body))

    def _send(self, made: Reply) -> None:
        if self._gone_within(made.wait_seconds) or made.status == reply.NO_ANSWER:
            self.close_connection = True
            return
        self._send_head(made)
        for at, part in enumerate(made.parts if self.command != "HEAD" else ()):
            if at and self._gone_within(made.pause_seconds):
                self.close_connection = True
                return
            self.wfile.write(part)

    def _send_head(self, made: Reply) -> None:
        self.close_connection |= made.cut
        length = sum(map(len, made.parts)) + made.cut  # one byte that never comes
        self.send_response(made.status)
        head = {"content-type": made.content_type, "content-length": str(length)}
        for key, value in (head | dict(made.headers)).items():
            self.send_header(key, value)
        if self.close_connection and not made.cut:
            self.send_header("connection", "close")
        self.end_headers()

    def _gone_within(self, seconds: float) -> bool:
        """Wait, and return early and true when the client hangs up, or `close` does."""
        if not seconds:
            return False
        with selectors.DefaultSelector() as said:
            said.register(self.connection, selectors.EVENT_READ)
            began = self.server.monotonic()
            if not said.select(seconds):
                return False
        if not self.connection.recv(1, socket.MSG_PEEK):
            return True
        # It has sent more, which is not looked at before its time.
        return self.server.closing.wait(began + seconds - self.server.monotonic())
