"""Addresses without what opens them: the user and password before a host, and the query, in which tokens and signatures are.

Settings keep the whole address, which reading needs. Whatever is shown or written down is shown or written without.
"""

from __future__ import annotations

import re
from typing import Any

import xxhash

ACCOUNT = re.compile(r"(?<=://)[^/@\s'\"]+@")
QUERY = re.compile(r"(?P<address>\b[A-Za-z][\w+.-]*://[^\s?'\"<>]*)\?[^\s'\"<>*?]*=[^\s'\"<>]*")


def public(text: str) -> str:
    """A text with every account and every query of an address in it left out."""
    return QUERY.sub(r"\g<address>", ACCOUNT.sub("", text)) if "://" in text else text


def filed(url: str) -> str:
    """An address under which something is kept: addresses that differ in their queries stay apart."""
    shown = public(url)
    bare = ACCOUNT.sub("", url)
    return shown if shown == bare else f"{shown} ({xxhash.xxh64_hexdigest(bare)})"


def public_tree(tree: Any) -> Any:
    """The same for every string of a tree of mappings and lists."""
    if isinstance(tree, dict):
        return {key: public_tree(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [public_tree(value) for value in tree]
    return public(tree) if isinstance(tree, str) else tree
