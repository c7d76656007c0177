"""`personal`: personal data counted by kind, and masked.

What is masked by default are the kinds that prove themselves or have a form of their own. Registration numbers of businesses
and street addresses without a numbered unit are public as a rule, so they are counted only. Counts are of the text; a
title is masked alike, in the same numbering, and not counted. No document is dropped by default:
`keep: "resident_numbers + cards = 0"` is a clause of whoever wants it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from winnow.filters.edits import Edit, apply, column
from winnow.filters.personal.found import KINDS, Found, Kind
from winnow.nearest import hint, nearest
from winnow.stages.base import EDITED, RETITLED, Artifact, DocumentStage, Outputs, Settings, StageError

PUBLIC = frozenset({"business_numbers", "addresses"})
"""Kinds that are masked only where the declaration says so."""

Kinds = Annotated[tuple[Kind, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


if TYPE_CHECKING:
    from winnow.filters.personal.search import Wanted


class PersonalSettings(Settings):
    mask: Kinds = tuple(k for k in KINDS if k not in PUBLIC)
    """Kinds to mask, instead of the default ones. One may stand without a list."""
    also_mask: Kinds = ()
    """Kinds to mask beside those of `mask`."""
    count: Kinds = KINDS
    """Kinds to look for and report."""
    style: Literal["typed", "fixed"] = "typed"
    """`typed` writes `[EMAIL]`, `fixed` a value of the same form that is nobody's."""
    numbered: bool = False
    """`[EMAIL_1]`: one number for one value of a document."""
    region: str | None = None
    """Country whose national telephone numbers are looked for (ISO 3166, two letters); by the language unless given."""
    written_emails: bool = False
    """Also `hong [at] mail.kr` and `hong 골뱅이 mail.kr`."""
    titles: bool = True
    """Mask titles as well."""

    @field_validator("region")
    @classmethod
    def _known(cls, region: str | None) -> str | None:
        from winnow.filters.personal.phones import REGIONS, regions

        if region is not None and region not in regions():
            upper = region.upper()
            near = upper if upper in regions() else REGIONS.get(region.lower()) or nearest(upper, sorted(regions()))
            raise PydanticCustomError(
                "region",
                "no region '{region}': expected two capital letters of ISO 3166, such as KR{hint}",
                {"region": region, "hint": f"; nearest: '{near}'" if near else ""},
            )
        return region

    @field_validator("numbered")
    @classmethod
    def _typed(cls, numbered: bool, info: ValidationInfo) -> bool:
        if numbered and info.data.get("style") == "fixed":
            raise PydanticCustomError(
                "numbered", "numbered placeholders are typed: expected style: typed, or numbered: false"
            )
        return numbered


class Personal(DocumentStage):
    """Finds e-mail addresses, public IP addresses, telephone, resident, passport, licence, business, card and account
    numbers and street addresses; masks what `mask` and `also_mask` name.

    A text that is not UTF-8 where something was found is a failed row.
    """

    __slots__ = ()
    kind = "personal"
    outputs = Outputs(edits=True, titles=True, masks=True)
    version = 3
    Settings = PersonalSettings

    def signals(self) -> dict[str, pa.DataType]:
        """One count per kind; `masked`, how many were masked; `masked_share`, of the text's characters, 0 to 1."""
        return {
            **{kind: pa.int32() for kind in KINDS if kind in self._kinds()},
            "masked": pa.int32(),
            "masked_share": pa.float64(),
        }

    def artifacts(self) -> list[Artifact]:
        """The public suffix list, which says what top-level domains there are."""
        from winnow.classifiers.artifacts import digest
        from winnow.filters.urls.address import snapshot

        return [Artifact("public-suffixes", snapshot(), digest(snapshot()))] if "emails" in self._wanted().kinds else []

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        from winnow.filters.personal.masks import Names, mask_column
        from winnow.filters.personal.search import NotText

        size = documents.num_rows
        masked = self._masked()
        names = [Names(self.settings.style, self.settings.numbered) for _ in range(size)]
        texts = cast("pa.LargeStringArray", documents.column("text"))
        counts = {kind: np.zeros(size, np.int32) for kind in self._kinds()}
        edited, share = np.zeros(size, np.int32), np.zeros(size)
        changes: list[list[Edit]] = [[] for _ in range(size)]
        errors: dict[int, str] = {}
        for row, one in mask_column(texts, self._wanted(), masked, names).items():
            if isinstance(one, NotText):
                errors[row] = f"text: {one}"
                continue
            for found in one.found:
                if found.kind in counts:
                    counts[found.kind][row] += 1
            if one.edits:
                changes[row] = list(one.edits)
                edited[row] = len(one.edits)
                share[row] = sum(e.end - e.start for e in one.edits) / len(texts[row].as_py())
        titles: dict[int, str] = {}
        if self.settings.titles:
            column_of_titles = documents.column("title").cast(pa.large_string())
            for row, one in mask_column(column_of_titles, self._wanted(), masked, names).items():
                if isinstance(one, NotText):
                    errors.setdefault(row, f"title: {one}")
                elif one.edits:
                    titles[row] = apply(column_of_titles[row].as_py(), one.edits)
        failed = np.zeros(size, bool)
        failed[list(errors)] = True
        for row in errors:
            changes[row] = []
            titles.pop(row, None)
        signals: dict[str, Any] = {kind: counts[kind] for kind in self.signals() if kind in counts}
        signals |= {"masked": edited, "masked_share": share}
        arrays = {name: pa.array(values, mask=failed) for name, values in signals.items()}
        arrays[EDITED] = column(changes)
        arrays[RETITLED] = pa.array([titles.get(row) for row in range(size)], pa.string())
        arrays["error"] = pa.array([errors.get(row) for row in range(size)], pa.string())
        return pa.RecordBatch.from_pydict(arrays)

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """The stretches of the kind; of every masked kind for `masked` and `masked_share`. Raises StageError for a signal
        that this stage does not measure."""
        from winnow.filters.personal.masks import Names, mask_column

        if signal not in self.signals():
            raise StageError(f"{self.name}: no signal '{signal}'{hint(signal, self.signals())}")
        masked = self._masked()
        texts = pa.array([text.encode("utf-8", "replace").decode()], pa.large_string())
        one = mask_column(texts, self._wanted(), masked, [Names()]).get(0)
        found: list[Found] = getattr(one, "found", [])
        kinds = masked if signal in ("masked", "masked_share") else {signal}
        return [(f.start, f.end) for f in found if f.kind in kinds]

    def _kinds(self) -> frozenset[Kind]:
        """What is reported."""
        return frozenset(self.settings.count)

    def _masked(self) -> frozenset[Kind]:
        return frozenset(self.settings.mask) | frozenset(self.settings.also_mask)

    def _wanted(self) -> Wanted:
        from winnow.filters.personal.phones import REGIONS
        from winnow.filters.personal.search import Wanted

        region = self.settings.region or REGIONS.get(self.pack.code)
        kinds = self._kinds() | self._masked()
        return Wanted(kinds, region, self.settings.written_emails)


KIND = Personal
