"""An OpenAI-compatible server on loopback that answers, and fails, as a test has written down."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[dict[str, Any], int], Any]


class Fault:
    """An HTTP answer that is no ordinary one.

    Args:
        status (int): The HTTP status.
        body (str | bytes | Any): What is sent; plain data as JSON.
        headers (dict[str, str]): Beside the usual ones.
        declared (int | None): Content-Length, where it lies.
        delay (float): Seconds before it.
        drip (float): Seconds between bytes.
    """

    def __init__(self, status=200, body: Any = b"", *, headers=None, declared=None, delay=0.0, drip=0.0):
        self.status = status
        self.body = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.headers = headers or {}
        self.declared = len(self.body) if declared is None else declared
        self.delay = delay
        self.drip = drip


class LanguageServer:
    """What a test sees of the server.

    Attributes:
        url: The address of the API.
        requests: Bodies in the order in which they came, with "path" and "authorization".
    """

    def __init__(self, url: str):
        self.url = url
        self.requests: list[dict[str, Any]] = []

    @property
    def asked(self) -> list[str]:
        """What was asked last in each request."""
        return [body["messages"][-1]["content"] if "messages" in body else body["prompt"] for body in self.requests]


def chat(text: str | None, *, finish: str = "stop", log_probs: list[float] | None = None, **message: Any) -> Any:
    """An answer as OpenAI's API has it."""
    logprobs = None if log_probs is None else {"content": [{"token": "x", "logprob": value} for value in log_probs]}
    return {
        "choices": [{"message": {"content": text, **message}, "finish_reason": finish, "logprobs": logprobs}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }


def echo(body: dict[str, Any], n: int) -> Any:
    """A model that says what it was asked, in capitals."""
    if "prompt" in body:
        return {"choices": [{"text": body["prompt"].upper(), "finish_reason": "stop"}]}
    return chat(body["messages"][-1]["content"].upper())


@contextmanager
def serving(script: Script = echo) -> Iterator[LanguageServer]:
    """A server while the block runs.

    Args:
        script: Called with the body and the number of requests before it; gives plain data, or a `Fault`.
    """
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two packets, and the second one would wait for the first to be acknowledged
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                n = len(seen.requests)
                authorization = self.headers.get("Authorization", "")
                seen.requests.append({**body, "path": self.path, "authorization": authorization})
            made = script({**body, "authorization": authorization}, n)
            fault = made if isinstance(made, Fault) else Fault(200, made)
            time.sleep(fault.delay)
            try:
                self._send(fault)
            except OSError:
                self.close_connection = True

        def _send(self, fault: Fault) -> None:
            self.send_response(fault.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(fault.declared))
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for i in range(0, len(fault.body), 1 if fault.drip else max(1, len(fault.body))):
                self.wfile.write(fault.body[i : i + 1] if fault.drip else fault.body)
                time.sleep(fault.drip)
            if fault.declared != len(fault.body):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    seen = LanguageServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
