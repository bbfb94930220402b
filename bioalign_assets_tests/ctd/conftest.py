"""A real HTTP server on this machine, which answers as well and as badly as servers do."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """What a path answers: a function that gets the request handler and writes the whole answer."""

    url: str = ""
    pages: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    heads: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    sent: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def serve(self, path, body=b"", *, status=200, **headers):
        def answer(handler):
            handler.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.pages[path] = answer
        return self.url + path

    def serve_file(self, path, body, *, head=True, **headers):
        """Serve as good servers do: HEAD is answered, and 304 where a condition says that nothing changed."""

        def answer(handler):
            asked = handler.headers
            tag, date = asked.get("If-None-Match"), asked.get("If-Modified-Since")
            unchanged = tag == headers.get("ETag") if tag else date and date == headers.get("Last_Modified")
            handler.send_response(304 if unchanged else 200)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            if handler.command == "GET" and not unchanged:
                for start in range(0, len(body), 1 << 14):
                    part = body[start : start + (1 << 14)]
                    self.sent += len(part)  # before the other side can have it
                    handler.wfile.write(part)

        self.pages[path] = answer
        self.heads.pop(path, None)
        if head:
            self.heads[path] = answer
        return self.url + path


@pytest.fixture
def site(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            made.asked.append(self.path)
            self.answer(made.pages, otherwise=404)

        def do_HEAD(self):
            self.answer(made.heads, otherwise=501)

        def answer(self, pages, *, otherwise):
            made.methods.append(self.command)
            page = pages.get(self.path.partition("?")[0])
            try:
                if page is None:
                    self.send_error(otherwise)
                else:
                    page(self)
            except OSError:  # who asked has hung up
                self.close_connection = True

        def log_message(self, *args):
            """Keep the test output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        made.closing.set()
        server.shutdown()
        thread.join()
