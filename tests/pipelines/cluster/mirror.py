"""A mirror of a crawl with snapshots of a few texts each, for what watches for snapshots and reads them via wet."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_mirror(folder: Path, snapshots: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """collinfo.json, newest first as it is at home, and for each snapshot one WET file with its (URL, text) pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    for snapshot, texts in snapshots.items():
        path = f"crawl-data/{snapshot}/segments/1/wet/CC-MAIN-00000.warc.wet.gz"
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(gzip.compress(_record(url, text), mtime=0) for url, text in texts))
        listing = folder / "crawl-data" / snapshot / "wet.paths.gz"
        listing.write_bytes(gzip.compress(f"{path}\n".encode(), mtime=0))
    list_snapshots(folder, sorted(snapshots))


def list_snapshots(folder: Path, snapshots: Sequence[str]) -> None:
    """Say that there are these, whatever lies in the folder."""
    listed = [{"id": snapshot, "name": snapshot} for snapshot in reversed(snapshots)]
    (folder / "collinfo.json").write_text(json.dumps(listed), "utf-8")


def _record(url: str, text: str) -> bytes:
    body = text.encode()
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\n"
        f"WARC-Target-URI: {url}\r\nWARC-Date: 2026-10-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{zlib.crc32(url.encode()):08x}-0000-0000-0000-000000000000>\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"
