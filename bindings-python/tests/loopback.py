"""A server on this machine that answers as a test says, counts what it is asked, and sees when a connection goes."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One answer. ``cut``: so many bytes of the body are sent, and the connection breaks; ``hang``: it stays open afterwards."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    hang: bool = False


def reply(text="5 mg", **members):
    """A whole answer of the chat-completions interface."""
    message = {"role": "assistant", "content": text, **members.pop("message", {})}
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    choice = {"index": 0, "message": message, "finish_reason": members.pop("finish", "stop")}
    return Answer(json.dumps({"id": "x", "model": "m-1", "choices": [choice], "usage": usage, **members}).encode())


def event(delta, finish=None, **members):
    """One event of a streamed answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "x", "model": "m-1", "choices": [choice], **members}).encode() + b"\n\n"


def stream(*texts, finish="stop", **options):
    """A streamed answer, a text an event."""
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    last = event({}, finish) + b"data: " + json.dumps({"id": "x", "choices": [], "usage": usage}).encode() + b"\n\n"
    body = b"".join(event({"content": text}) for text in texts) + last + b"data: [DONE]\n\n"
    return Answer(body, kind="text/event-stream", **options)


def refusal(status, message="no", kind="error", **headers):
    """A refusal."""
    body = json.dumps({"error": {"message": message, "type": kind, "code": kind}}).encode()
    return Answer(body, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


class Server:
    """``answer``: an :class:`Answer` for all requests, a list of one for each (the last is repeated), or a function of (n, body)."""

    def __init__(self, answer):
        self._answer = answer
        self.asked = []
        """The bodies of the requests."""
        self.headers = []
        """Their header fields, in lower case."""
        self.gone = threading.Event()
        """Set when a client closes a connection whose answer hangs."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            file = connection.makefile("rb")
            try:
                while file.readline():
                    if not self._one(connection, file):
                        return
            except OSError:
                return

    def _one(self, connection, file):
        fields = {}
        while (line := file.readline().strip()):
            name, _, value = line.decode().partition(":")
            fields[name.lower()] = value.strip()
        body = json.loads(file.read(int(fields.get("content-length", 0))))
        n = len(self.asked)
        self.asked.append(body)
        self.headers.append(fields)
        given = self._answer
        answer = given(n, body) if callable(given) else given[min(n, len(given) - 1)] if isinstance(given, list) else given
        head = {"content-type": answer.kind, "transfer-encoding": "chunked", **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(f"HTTP/1.1 {answer.status} X\r\n{lines}\r\n".encode())
        sent = answer.body if answer.cut is None else answer.body[: answer.cut]
        if sent:
            connection.sendall(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
        if answer.cut is not None:
            return False
        if answer.hang:
            if not connection.recv(1):
                self.gone.set()
            return False
        connection.sendall(b"0\r\n\r\n")
        return True
