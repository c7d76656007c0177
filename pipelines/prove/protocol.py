"""What an experiment compares, on what and how: fixed and hashed before the first arm is trained.

The targets' file (`--targets`) is YAML:

    pool: {paths: [pool/*.jsonl.gz], where: "characters <= 20000"}  # what `random` and `oracle` draw from
    oracle: "kind = 'good'"                                         # the documents of the arm `oracle`
    caps: {by: domain, share: 0.15}                                 # no domain is more than this share of an arm
    targets:                                                        # held-out texts, by name
      news:   {where: "domain = 'news'", share: 0.5}                # half of the pool's news, whole groups, by hash
      essays: essays.jsonl                                          # or files of their own

`where` is SQL over `id`, `domain`, `source`, `noise`, `kind`, `group`, `file` (its name without endings), `characters` and
`hangul` (share of Hangul among visible characters). A file of names and paths alone is its `targets`. Nothing that is held
out comes into an arm, nor a copy of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from winnow.filters.bounded_yaml import OutOfBounds, Texts, load, read_text
from winnow.nearest import expected
from winnow.pipelines.results.table import RunError

Unit = Literal["tokens", "characters", "hangul", "bytes"]
VERSION = 2
_MULTIPLES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


Paths = Annotated[tuple[str, ...], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]
"""One needs no list."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pool(_Part):
    """Files of documents, JSON Lines or Parquet."""

    paths: Paths = Field(min_length=1)
    where: str | None = None


class Target(_Part):
    """Held-out texts: of the pool those for which `where` holds, or of files. `share` of their groups is held out, by hash;
    of these, documents up to `characters` in all are the target."""

    paths: Paths = ()
    where: str | None = None
    share: float = Field(default=1.0, gt=0, le=1)
    characters: int = Field(default=200_000, ge=1000)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        """A path, or a list of them, stands for `paths`."""
        return {"paths": given} if isinstance(given, str | list) else given

    @model_validator(mode="after")
    def _found(self) -> Target:
        if not self.paths and self.where is None:
            raise ValueError("expected `where` (of the pool's documents) or `paths`")
        return self


class Caps(_Part):
    """No `by` is more than `share` of an arm."""

    by: Literal["domain", "source"] = "domain"
    share: float = Field(gt=0, le=1)


class Targets(_Part):
    """The targets' file."""

    pool: Pool | None = None
    oracle: str | None = None
    caps: Caps | None = None
    targets: dict[str, Target] = Field(min_length=1)
    panels: dict[str, tuple[str, ...]] = {}
    """Names for some of the targets, over which there is a verdict too."""
    longest: int = Field(default=2000, ge=100)
    """Characters of a document that are used, in a row, at a place by hash. The fewer, the more documents a draw has, and the
    less it varies."""
    unit: Unit = "tokens"
    tokenizer: str = "ko-bpe"
    """What counts tokens."""
    seeds: int = Field(default=20, ge=2, le=100)
    """Draws of each arm at tier 0."""
    trained_seeds: int = Field(default=5, ge=2, le=100)
    """Of these, how many tier 1 trains on."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    order: int = Field(default=5, ge=2, le=8)
    """Of the n-gram model."""
    proxy: dict[str, Any] = {}
    """Settings of tier 1."""


class ArmRecord(_Part):
    """An arm as it was read: after what is held out was left out of it."""

    name: str
    reference: str
    digest: str
    documents: int
    characters: int
    left_out: dict[str, int] = {}
    draw: int = 0
    """Arms of one reference draw apart by this number."""


class TargetRecord(_Part):
    name: str
    digest: str
    documents: int
    characters: int
    groups: int


class Protocol(_Part):
    """All that the figures depend on."""

    version: int = VERSION
    given: Targets
    arms: tuple[ArmRecord, ...]
    targets: tuple[TargetRecord, ...]
    asked: int
    amount: int
    unit: Unit
    seeds: tuple[int, ...]
    tiers: dict[str, str]
    """Each tier's name and identity."""
    primary: str
    """The measure that the verdict is by."""

    def canonical(self) -> str:
        """Canonical JSON."""
        return canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """Of the canonical JSON."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def refuse_another(protocol: Protocol, out: Path) -> bool:
    """Whether OUT has this protocol. Raises RunError where it has another. A tier whose identity is still "" is any."""
    path = out / "protocol.json"
    if not path.exists():
        return False
    try:
        there = json.loads(path.read_text("utf-8"))["protocol"]
        known = {name: identity or there["tiers"].get(name, "") for name, identity in protocol.tiers.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: not a protocol of winnow prove: choose another folder for --out") from error
    here = protocol.model_copy(update={"tiers": known}).canonical()
    if canonical(there) != here:
        raise RunError(
            f"{path}: another experiment was registered there: {_difference(there, json.loads(here))}; a changed protocol is a "
            "new experiment: choose another folder for --out"
        )
    return True


def register(protocol: Protocol, out: Path) -> None:
    """Writes OUT/protocol.json, once. Raises RunError where another protocol is there."""
    path = out / "protocol.json"
    if refuse_another(protocol, out):
        return
    out.mkdir(parents=True, exist_ok=True)
    document = {"digest": protocol.digest, "protocol": json.loads(protocol.canonical())}
    write(path, json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def write(path: Path, text: str) -> None:
    """A whole file or none."""
    half = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    half.write_text(text, "utf-8")
    half.replace(path)


def read_targets(path: Path) -> Targets:
    """The targets' file. Raises RunError."""
    try:
        tree = load(read_text(path), Texts)
    except FileNotFoundError:
        raise RunError(f"{path}: no such file of targets (--targets)") from None
    except OutOfBounds as error:
        raise RunError(f"{path}{f':{error.line}' if error.line else ''}: {error}") from error
    if isinstance(tree, dict) and tree and all(isinstance(value, str | list) for value in tree.values()):
        tree = {"targets": tree}
    if not isinstance(tree, dict) or "targets" not in tree:
        raise RunError(f"{path}: expected a mapping with `targets`: held-out texts by name")
    try:
        found = Targets.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = expected(str(first["loc"][-1]), _known(first["loc"]))
        what = f"unknown; {known}" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise RunError(f"{path}: {where}: {what}") from error
    for name in found.targets:
        if not re.fullmatch(r"[\w-]+", name):
            raise RunError(f"{path}: targets.{name}: expected a name of letters, digits, '-' and '_'")
    for name, members in found.panels.items():
        for member in members:
            if member not in found.targets:
                raise RunError(f"{path}: panels.{name}: no target '{member}'; {expected(member, found.targets)}")
    if found.pool is None and any(not target.paths for target in found.targets.values()):
        raise RunError(f"{path}: a target of the pool needs `pool`: {{paths: [...]}}")
    return found


def _known(loc: tuple[int | str, ...]) -> list[str]:
    parts: dict[str, type[BaseModel]] = {"pool": Pool, "caps": Caps, "targets": Target}
    return list((parts[str(loc[0])] if len(loc) > 1 and str(loc[0]) in parts else Targets).model_fields)


def _difference(there: Any, here: Any, at: str = "") -> str:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), f"{at}.{key}" if at else key)
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, (old, new) in enumerate(zip(there, here, strict=True)):
            if old != new:
                return _difference(old, new, f"{at}[{number}]")
    return f"its {at} is {_short(there)}, this one's is {_short(here)}"


def _short(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."


def amount_of(text: str, option: str) -> int:
    """`900k`, `3M`, `3000000` as a number. Raises RunError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text.replace(",", "").replace("_", ""))
    value = round(float(found[1]) * _MULTIPLES[found[2]]) if found else 0
    if value < 1:
        raise RunError(f"{option} {text}: expected an amount such as 900k or 3M")
    return value


def seconds_of(text: str, option: str) -> float:
    """`45m`, `90s`, `1h` as seconds. Raises RunError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found or not float(found[1]):
        raise RunError(f"{option} {text}: expected a time such as 45m, 90s or 1h")
    return float(found[1]) * _SECONDS[found[2]]
