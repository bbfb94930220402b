"""A model hub on this machine: the few answers of its HTTP interface that the hub's library asks for."""

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_API = re.compile(r"/api/models/(?P<repo>[\w.-]+/[\w.-]+)/(?P<what>revision|tree)/(?P<revision>[^/?]+)")
_FILE = re.compile(r"/(?P<repo>[\w.-]+/[\w.-]+)/resolve/(?P<revision>[^/?]+)/(?P<name>[^?]+)")


class LocalHub:
    """Repositories by name, each a mapping of commits to folders, with branches that name commits."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, Path]] = {}
        self.branches: dict[str, dict[str, str]] = {}
        self.gated: set[str] = set()
        self.granted: set[str] = set()
        """Tokens that may see gated repositories"""
        self.refuses: tuple[int, str] | None = None
        """Status and message that every question about a repository is answered with"""
        self.users: dict[str, str] = {}
        """Names of the users that tokens belong to"""
        self.asked: list[str] = []
        """Method and path of every request, in order"""
        self.claimed_bytes: dict[str, int] = {}
        """Sizes that files are said to have, in place of their own"""

    def put(self, repo: str, folder: Path, *, commit: str, branch: str = "main") -> None:
        self.commits.setdefault(repo, {})[commit] = folder
        self.branches.setdefault(repo, {})[branch] = commit

    @property
    def fetched(self) -> set[str]:
        """Names of the files whose content was asked for."""
        return {
            path.rsplit("/", 1)[-1] for path in self.asked if path.startswith("GET ") and "/resolve/" in path
        }

    @contextmanager
    def serving(self):
        """Serve on a free port; give the address."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                hub._answer(self, sends=False)

            def do_GET(self):
                hub._answer(self, sends=True)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _answer(self, request, *, sends: bool) -> None:
        self.asked.append(f"{request.command} {request.path}")
        if request.path == "/api/whoami-v2":
            self._user(request)
            return
        if self.refuses is not None:
            status, message = self.refuses
            _reply(request, status, {"X-Error-Message": message}, sends=sends)
            return
        match = _API.match(request.path) or _FILE.match(request.path)
        repo = match["repo"] if match else None
        if repo not in self.commits:
            _reply(request, 404, {"X-Error-Code": "RepoNotFound"}, sends=sends)
            return
        commit = self.branches[repo].get(match["revision"], match["revision"])
        folder = self.commits[repo].get(commit)
        if folder is None:
            _reply(request, 404, {"X-Error-Code": "RevisionNotFound"}, sends=sends)
        elif "what" not in match.groupdict():
            self._file(request, folder / match["name"], repo=repo, commit=commit, sends=sends)
        elif match["what"] == "revision":
            _reply(
                request, 200, {}, body=json.dumps({"id": repo, "sha": commit, "siblings": []}), sends=sends
            )
        else:
            files = [
                {
                    "type": "file",
                    "path": path.relative_to(folder).as_posix(),
                    "size": self._size(path),
                    "oid": _etag(path),
                }
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            ]
            _reply(request, 200, {}, body=json.dumps(files), sends=sends)

    def _user(self, request) -> None:
        user = self.users.get(_token(request))
        _reply(request, 200 if user else 401, {}, body=json.dumps({"name": user} if user else {}), sends=True)

    def _file(self, request, path: Path, *, repo: str, commit: str, sends: bool) -> None:
        if repo in self.gated and _token(request) not in self.granted:
            _reply(request, 403, {"X-Error-Code": "GatedRepo"}, sends=sends)
        elif not path.is_file():
            _reply(request, 404, {"X-Error-Code": "EntryNotFound"}, sends=sends)
        else:
            headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": commit}
            body = path.read_bytes()
            _reply(request, 200, headers, body=body, sends=sends, length=self._size(path))

    def _size(self, path: Path) -> int:
        return self.claimed_bytes.get(path.name, path.stat().st_size)


def _token(request) -> str:
    return (request.headers.get("Authorization") or "").removeprefix("Bearer ")


def _etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _reply(request, status: int, headers, *, sends: bool, body: str | bytes = b"", length: int | None = None):
    content = body.encode() if isinstance(body, str) else body
    request.send_response(status)
    for key, value in headers.items():
        request.send_header(key, value)
    request.send_header("Content-Length", str(len(content) if length is None else length))
    request.end_headers()
    if sends:
        request.wfile.write(content)
