"""A server on this machine that speaks the part of the Hugging Face hub's HTTP API that publishing a dataset uses.

Repositories are trees of bytes with a history of commit ids; large files travel by the LFS protocol (batch, PUT,
verify) and are kept by sha256, as on the hub. What a client asked for is recorded in `requests`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

WRITER, READER = "hf_writer", "hf_reader"
"""Tokens of the user `tester`, member of `lab`: one may write, one may not."""


def git_oid(content: bytes) -> str:
    """Git's blob id."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """One dataset repository."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)  # paths that are LFS pointers
    commits: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)

    def commit(self, summary: str) -> str:
        """A new head."""
        content = json.dumps([summary, len(self.commits), sorted(map(git_oid, self.files.values()))])
        self.commits.append(hashlib.sha1(content.encode()).hexdigest())
        self.summaries.append(summary)
        return self.commits[-1]


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class HubServer:
    """`url` is what HF_ENDPOINT is set to. `refuse_uploads_after`: so many PUTs succeed, the rest are answered 400.
    `large_suffixes`: what is stored as a large file."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuse_uploads_after: int | None = None
        self.large_suffixes: tuple[str, ...] = (".parquet",)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop answering."""
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def create(self, name: str, private: bool = False, **files: bytes) -> Repository:
        """A repository as the hub creates it, with further files."""
        repository = self.repositories[name] = Repository(
            private, {".gitattributes": b"*.parquet filter=lfs\n", **files}
        )
        repository.commit("initial commit")
        return repository

    def uploads(self) -> list[str]:
        """Digests of the large files that were sent, in order."""
        return [path.rpartition("/")[2] for method, path in self.requests if method == "PUT"]

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        for pattern, methods, answer in self._routes():
            if method in methods and (found := re.fullmatch(pattern, path)):
                return answer(token, body, **{k: unquote(v) for k, v in found.groupdict().items()})
        raise Refused(404, f"no such route: {method} {path}")

    def _routes(self) -> list[tuple[str, str, Callable[..., tuple[int, dict[str, str], bytes]]]]:
        name = r"(?P<name>[^/]+/[^/]+)"
        return [
            (r"/api/whoami-v2", "GET", self._whoami),
            (r"/api/validate-yaml", "POST", self._validate),
            (r"/api/repos/create", "POST", self._create),
            (rf"/api/datasets/{name}(?:/revision/[^/]+)?", "GET", self._info),
            (rf"/api/datasets/{name}/tree/[^/]+", "GET", self._tree),
            (rf"/api/datasets/{name}/preupload/main", "POST", self._preupload),
            (rf"/api/datasets/{name}/commit/main", "POST", self._commit),
            (rf"/datasets/{name}\.git/info/lfs/objects/batch", "POST", self._batch),
            (rf"/datasets/{name}/resolve/[^/]+/(?P<file>.+)", "GET HEAD", self._resolve),
            (r"/lfs/(?P<oid>[0-9a-f]{64})", "PUT", self._put),
            (r"/lfs/verify", "POST", self._verify),
        ]

    def _whoami(self, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self._known(token)
        role = "write" if token == WRITER else "read"
        return _json(
            {"type": "user", "name": "tester", "orgs": [{"name": "lab"}], "auth": {"accessToken": {"role": role}}}
        )

    def _validate(self, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        found = re.match(r"---\n(.*?)\n---\n", json.loads(body)["content"], re.DOTALL)
        metadata = yaml.safe_load(found[1]) if found else None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("license"), str):
            return 400, {}, json.dumps({"errors": [{"message": "no metadata"}], "warnings": []}).encode()
        return _json({"errors": [], "warnings": []})

    def _create(self, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        self._may_write(token, name)
        if name in self.repositories:
            raise Refused(409, "You already created this dataset repo")
        self.create(name, asked.get("visibility") == "private")
        return _json({"url": f"{self.url}/datasets/{name}", "name": name})

    def _info(self, token: str, body: bytes, name: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(token, name)
        return _json({"id": name, "sha": repository.commits[-1], "private": repository.private, "tags": []})

    def _tree(self, token: str, body: bytes, name: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(token, name)
        entries: list[dict[str, Any]] = []
        for folder in sorted({path.rpartition("/")[0] for path in repository.files} - {""}):
            entries.append({"type": "directory", "path": folder, "oid": hashlib.sha1(folder.encode()).hexdigest()})
        for path, content in repository.files.items():
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
            if path in repository.large:
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return _json(entries)

    def _preupload(self, token: str, body: bytes, name: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._writable(token, name)
        files = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            mode = "lfs" if path.endswith(self.large_suffixes) else "regular"
            answer = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            if path in repository.files:
                content = repository.files[path]
                answer["oid"] = hashlib.sha256(content).hexdigest() if path in repository.large else git_oid(content)
            files.append(answer)
        return _json({"files": files})

    def _batch(self, token: str, body: bytes, name: str) -> tuple[int, dict[str, str], bytes]:
        self._writable(token, name)
        objects = []
        for wanted in json.loads(body)["objects"]:
            answer = dict(wanted)
            if wanted["oid"] not in self.blobs:
                answer["actions"] = {
                    "upload": {"href": f"{self.url}/lfs/{wanted['oid']}"},
                    "verify": {"href": f"{self.url}/lfs/verify"},
                }
            objects.append(answer)
        return _json({"transfer": "basic", "objects": objects})

    def _put(self, token: str, body: bytes, oid: str) -> tuple[int, dict[str, str], bytes]:
        if self.refuse_uploads_after is not None and len(self.uploads()) > self.refuse_uploads_after:
            raise Refused(400, "the storage is out of order")
        if hashlib.sha256(body).hexdigest() != oid:
            raise Refused(400, "the content does not have this digest")
        self.blobs[oid] = body
        return 200, {}, b""

    def _verify(self, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked = json.loads(body)
        if len(self.blobs.get(asked["oid"], b"")) != asked["size"]:
            raise Refused(404, "no such object")
        return 200, {}, b""

    def _commit(self, token: str, body: bytes, name: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._writable(token, name)
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit", repository.commits[-1]) != repository.commits[-1]:
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        for line in lines[1:]:
            value = line["value"]
            path = value["path"]
            if line["key"] == "file":
                repository.files[path] = base64.b64decode(value["content"])
                repository.large.discard(path)
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.blobs:
                    raise Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
                repository.files[path] = self.blobs[value["oid"]]
                repository.large.add(path)
            elif line["key"] == "deletedFile":
                del repository.files[path]
                repository.large.discard(path)
            else:
                raise Refused(400, f"unknown operation {line['key']}")
        commit = repository.commit(header["summary"])
        return _json({"success": True, "commitOid": commit, "commitUrl": f"{self.url}/datasets/{name}/commit/{commit}"})

    def _resolve(self, token: str, body: bytes, name: str, file: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(token, name)
        if file not in repository.files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        content = repository.files[file]
        return 200, {"ETag": f'"{git_oid(content)}"', "X-Repo-Commit": repository.commits[-1]}, content

    def _known(self, token: str) -> None:
        if token not in (WRITER, READER):
            raise Refused(401, "Invalid credentials in Authorization header")

    def _may_write(self, token: str, name: str) -> None:
        self._known(token)
        if token != WRITER or name.partition("/")[0] not in ("tester", "lab"):
            raise Refused(403, f"You don't have the rights to write to {name.partition('/')[0]}")

    def _repository(self, token: str, name: str) -> Repository:
        found = self.repositories.get(name)
        if found is None or (found.private and token not in (WRITER, READER)):
            raise Refused(404, "Repository not found", "RepoNotFound")
        return found

    def _writable(self, token: str, name: str) -> Repository:
        self._may_write(token, name)
        return self._repository(token, name)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self._body()
                path = urlsplit(self.path).path
                hub.requests.append((self.command, path))
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                try:
                    status, headers, content = hub.answer(self.command, path, token, body)
                except Refused as refused:
                    status, content = refused.status, json.dumps({"error": str(refused)}).encode()
                    headers = {"X-Error-Message": str(refused)} | (
                        {"X-Error-Code": refused.code} if refused.code else {}
                    )
                self.send_response(status)
                for key, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = _do

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                chunks = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def log_message(self, format: str, *args: Any) -> None:
                """The record in `requests` is enough."""

        return Handler


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(value).encode()
