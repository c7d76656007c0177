"""Publishing to the Hugging Face hub as a dataset repository: files are uploaded one by one, then one commit shows all.

A file whose digest the repository already has is not sent again, and neither is one that an interrupted publication
has uploaded before its commit: the hub knows its content. A local copy of one file at a time is needed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.pipelines.results.publish.dataset import DataFile
from winnow.pipelines.results.publish.target import CARD, MANIFEST, OURS, earlier, removed
from winnow.pipelines.results.table import RunError, fingerprint

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, HfApi

MOST_CHARACTERS = 96
EXPECTED = (
    f"expected hub:org/name of at most {MOST_CHARACTERS} letters, digits, '-', '_' and '.'; neither part begins or ends with "
    "'-' or '.', and '--' and '..' are not allowed"
)
NAME = re.compile(r"\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?", re.ASCII)
NEVER = ("--", "..")
"""What the hub accepts as a name."""

BLANK = (".gitattributes",)
"""What the hub itself puts into a new repository."""


class Hub:
    """State: the connection, what the repository held, and the additions of the commit to come. `offline`: only the
    name is checked."""

    def __init__(self, name: str, private: bool, scratch: Path, offline: bool = False) -> None:
        if not NAME.fullmatch(name) or len(name) > MOST_CHARACTERS or any(bad in name for bad in NEVER):
            raise RunError(f"--to hub:{name}: no name of a dataset on the hub; {EXPECTED}")
        self.name, self.private, self.scratch, self.offline = name, private, scratch, offline
        self.head: str | None = None
        self.remote: dict[str, str] = {}  # path -> sha256 of its content
        self.before: dict[str, Any] = {}
        self.edited = False
        self.additions: list[CommitOperationAdd] = []

    @property
    def where(self) -> str:
        """The destination, for sentences."""
        return f"hub:{self.name}"

    def check(self) -> None:
        """The token is good, the repository may be written, and holds nothing that is not ours."""
        if self.offline:
            return
        from huggingface_hub.errors import RepositoryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        api = self._api()
        with _asking(self.where, "the hub does not take the token"):
            api.whoami()
        with _asking(self.where, "cannot be looked at"):
            try:
                info = api.dataset_info(self.name)
            except RepositoryNotFoundError:
                return
            entries = list(api.list_repo_tree(self.name, recursive=True, repo_type="dataset", revision=info.sha))
        self._check_private(info.private)
        self.head = info.sha
        files = [entry for entry in entries if isinstance(entry, RepoFile)]
        paths = {file.path: file.lfs.sha256 if file.lfs else "" for file in files}
        self.remote = {path: digest for path, digest in paths.items() if digest}
        self._check_ours(api, sorted(set(paths) - set(BLANK)))

    def begin(self) -> None:
        """Create the repository if it is not there."""
        if self.head is not None:
            return
        api = self._api()
        with _asking(self.where, "cannot be created"):
            api.create_repo(self.name, repo_type="dataset", private=self.private or None, exist_ok=True)
            info = api.dataset_info(self.name)
        self._check_private(info.private)
        self.head = info.sha

    def place(self, path: str) -> Path:
        """In the scratch folder."""
        return self.scratch / path

    def took(self, file: DataFile, local: Path) -> str:
        """Upload a file whose content the hub does not have; nobody sees it before the commit."""
        from huggingface_hub import CommitOperationAdd

        if self.remote.get(file.path) == file.sha256:
            local.unlink()
            return "there already"
        addition = CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=str(local))
        with _asking(self.where, f"{file.path} cannot be uploaded"):
            self._api().preupload_lfs_files(self.name, [addition], repo_type="dataset")
        if addition.path_or_fileobj == b"":  # uploaded: only its digest goes into the commit
            local.unlink()
        self.additions.append(addition)
        return "uploaded"

    def finish(self, texts: Mapping[str, bytes], manifest: Mapping[str, Any]) -> str:
        """One commit of everything; returns what was done."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        if self.before.get("files") == manifest["files"] and not self.additions:
            return f"{self.where} holds this publication already: nothing to do"
        stale = sorted(set(self.before.get("files", {})) - set(manifest["files"]))
        contents = {**texts, MANIFEST: json.dumps(manifest, indent=2, sort_keys=True).encode()}
        operations: list[CommitOperationAdd | CommitOperationDelete | CommitOperationCopy] = [
            *self.additions,
            *(CommitOperationAdd(path_in_repo=path, path_or_fileobj=content) for path, content in contents.items()),
            *(CommitOperationDelete(path_in_repo=path) for path in stale),
        ]
        with _asking(self.where, "the commit was refused, and nothing of it shows"):
            commit = self._api().create_commit(
                self.name,
                operations,
                commit_message=f"winnow publish: {manifest['rows']['kept']:,} documents, {fingerprint(manifest['files'])}",
                repo_type="dataset",
                parent_commit=self.head,
            )
        edited = f"; {CARD} had been edited there, which is in the history now" if self.edited else ""
        return f"published to {self.where}{removed(stale)}: {commit.commit_url}{edited}"

    def _check_private(self, is_private: bool | None) -> None:
        if self.private and not is_private:
            raise RunError(
                f"{self.where}: is there and is public, so --private cannot hold; make it private on the hub, or choose "
                "another name"
            )

    def _api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="winnow")

    def _content(self, api: HfApi, path: str) -> bytes:
        with _asking(self.where, f"{path} cannot be read"):
            local = api.hf_hub_download(
                self.name, path, repo_type="dataset", revision=self.head, local_dir=self.scratch
            )
        return Path(local).read_bytes()

    def _check_ours(self, api: HfApi, paths: list[str]) -> None:
        if not paths:
            return
        content = self._content(api, MANIFEST) if MANIFEST in paths else None
        self.before = earlier(content, self.where, paths, "choose another name, or remove them on the hub")
        self.before["files"] = {p: e for p, e in self.before["files"].items() if OURS.fullmatch(p) and p in paths}
        card = self.before["files"].get(CARD)
        self.edited = bool(card) and sha256(self._content(api, CARD)).hexdigest() != card.get("sha256")


@contextmanager
def _asking(where: str, failing: str) -> Iterator[None]:
    """Everything that goes wrong between here and the hub, as one sentence."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise RunError(
            f"{where}: no token: set HF_TOKEN to one that may write there, or log in with `hf auth login`"
        ) from error
    except OfflineModeIsEnabled as error:
        raise RunError(f"{where}: HF_HUB_OFFLINE is set, so the hub cannot be reached; unset it to publish") from error
    except HfHubHTTPError as error:
        code = error.response.status_code
        hint = "; HF_TOKEN or the stored token must be valid and may write there" if code in (401, 403) else ""
        raise RunError(f"{where}: {failing} (HTTP {code}): {error.server_message or _line(error)}{hint}") from error
    except httpx2.HTTPError as error:
        endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        raise RunError(
            f"{where}: {failing}: {endpoint} cannot be reached ({_line(error)}); check the network and HF_ENDPOINT"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        cause = f": {_line(error.__cause__)}" if error.__cause__ is not None else ""
        hint = "; an endpoint without Xet storage needs HF_HUB_DISABLE_XET=1" if "xet" in str(error) else ""
        raise RunError(f"{where}: {failing}: {_line(error)}{cause}{hint}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
