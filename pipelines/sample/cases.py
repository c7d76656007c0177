"""Which pages the sample holds: one case per response record, in a composition that is the same for every seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.documents import JUNK, Span, composites, near_duplicate, with_personal_data
from winnow.pipelines.sample.texts import DOMAINS, Text, korean, lines, originals

FULL = 2400
"""The number of records that COUNTS is written for; other sizes scale it."""

ENCODED = {
    "euckr_header": 30, "euckr_meta": 40, "cp949": 14, "lie_header_utf8": 16, "lie_header_latin1": 16,
    "lie_meta": 14, "utf16": 10, "ncr": 12, "utf8_bom": 10, "nfd": 14,
}  # fmt: skip
"""Korean pages by encoding (`encode.ENCODINGS`)."""
SHAPED = {"broken": 24, "truncated": 16, "nested": 6, "chunked": 24, "gzip": 24, "http10": 10, "no_type": 8}
"""Korean pages by damage or transfer."""
JUNK_COUNTS = {
    "spam": 90, "gambling": 80, "abuse": 80, "links": 60, "listing": 50, "chatter": 50, "garbled": 40,
}  # fmt: skip
TECHNICAL = {
    "status_301": 38, "status_404": 44, "status_403": 18, "status_500": 18, "pdf": 14, "json": 12, "image": 12,
    "stylesheet": 10, "empty": 18, "whitespace": 10, "binary": 18,
}  # fmt: skip
COUNTS = {
    "original": 80, "composite": 330, "personal": 40, "mixed": 16, "exact_duplicate": 175, "near_duplicate": 165,
    "en": 290, "en_exact_duplicate": 20, "en_near_duplicate": 20, "en_in_korean_frame": 50,
    "ja": 150, "ja_exact_duplicate": 10, "ja_near_duplicate": 10, "zh": 100,
    **ENCODED, **SHAPED, **JUNK_COUNTS, **TECHNICAL,
}  # fmt: skip
JUDGED = ("ko", "en", "ja")
"""Languages whose pipelines the truth can judge."""
FOREIGN_ENCODINGS = {"ja": ("shift_jis", "euc_jp"), "zh": ("gbk",)}


@dataclass(frozen=True, slots=True)
class Case:
    """One page to make. `why` names the stage that should drop it (None: it should be kept)."""

    category: str
    text: Text
    frame: str  # language of the site around the text
    why: str | None = None
    either: bool = False  # keeping and dropping are both right, as long as it is accounted for
    encoding: str = "utf8"
    body: str | None = None
    group: str | None = None
    group_kind: str | None = None
    personal: tuple[Span, ...] = ()

    @property
    def keep_for(self) -> dict[str, bool]:
        """Whether a pipeline for a language should keep it."""
        good = self.category not in JUNK and self.category not in TECHNICAL and "duplicate" not in self.category
        return {code: good and self.text.language == code for code in JUDGED}


def scaled(records: int) -> dict[str, int]:
    """The composition for a number of records: largest remainders, at least one of each category.

    Raises ValueError below one record per category.
    """
    if records < len(COUNTS):
        raise ValueError(
            f"records={records} is too few: there are {len(COUNTS)} categories, expected at least that many"
        )
    total = sum(COUNTS.values())
    exact = {name: count * records / total for name, count in COUNTS.items()}
    counts = {name: max(1, int(share)) for name, share in exact.items()}
    by_rest = sorted(COUNTS, key=lambda name: (counts[name] - exact[name], name))
    while (short := records - sum(counts.values())) > 0:
        for name in by_rest[:short]:
            counts[name] += 1
    while sum(counts.values()) > records:
        counts[max(COUNTS, key=lambda name: (counts[name], name))] -= 1
    return counts


def cases(records: int, seed: int) -> list[Case]:
    """All cases of a sample, in the order of their making (the file's order is drawn later)."""
    counts = scaled(records)
    made = list(chain(_korean(counts, seed), _foreign(counts, seed), _junk(counts, seed), _technical(counts)))
    if len(made) != records:
        raise ValueError(f"the composition gives {len(made)} records, expected {records}")
    return made


def _korean(counts: dict[str, int], seed: int) -> Iterator[Case]:
    written = [text for texts in zip(*map(korean, DOMAINS), strict=False) for text in texts]
    written += [text for domain in DOMAINS for text in korean(domain) if text not in written]
    plain = counts["original"] + counts["composite"]
    kept = written[: counts["original"]]
    special = [*ENCODED, *SHAPED, "personal", "mixed"]
    fresh = iter(_spread(plain - len(kept) + sum(counts[name] for name in special), seed))
    more = [next(fresh) for _ in range(plain - len(kept))]
    bases = kept + more
    copies = list(_copies("", bases, counts, seed))
    groups = {case.group for case in copies}
    for text in bases:
        category = "composite" if "composite" in text.id else "original"
        encoding = "utf8_meta" if Dice(seed, "declared", text.id).chance(0.25) else "utf8"
        yield Case(category, text, "ko", encoding=encoding, group=text.id if text.id in groups else None)
    yield from copies
    english = originals("en")
    for name in special:
        for number in range(counts[name]):
            text = next(fresh)
            dice = Dice(seed, name, number)
            if name == "personal":
                extended, spans = with_personal_data(text, dice)
                yield Case(name, extended, "ko", personal=spans)
            elif name == "mixed":
                half = text.paragraphs[:2] + dice.pick(english).paragraphs[:3]
                yield Case(name, replace(text, paragraphs=half), "ko", either=True)
            elif name == "cp949":
                rare = dice.pick(lines("ko-cp949"))
                yield Case(name, replace(text, paragraphs=(*text.paragraphs, rare)), "ko", encoding=name)
            elif name in ENCODED:
                yield Case(name, text, "ko", encoding=name)
            else:
                yield Case(name, text, "ko", either=name in ("no_type", "nested"))


def _spread(count: int, seed: int) -> list[Text]:
    shares = [count // len(DOMAINS) + (at < count % len(DOMAINS)) for at in range(len(DOMAINS))]
    made = [composites(korean(domain), share, seed) for domain, share in zip(DOMAINS, shares, strict=True)]
    return sorted(chain.from_iterable(made), key=lambda text: (Dice(seed, "spread", text.id).bits(), text.id))


def _copies(prefix: str, bases: Sequence[Text], counts: dict[str, int], seed: int) -> Iterator[Case]:
    why = "dedup" if not prefix else "screen"
    frame = bases[0].language
    for kind in ("exact", "near"):
        name = f"{prefix}{kind}_duplicate"
        for number in range(counts[name]):
            base = Dice(seed, name, number).pick(bases)
            text = base if kind == "exact" else near_duplicate(base, number, seed)
            yield Case(name, text, frame, why=why, group=base.id, group_kind=kind)


def _foreign(counts: dict[str, int], seed: int) -> Iterator[Case]:
    for language in ("en", "ja", "zh"):
        pool = originals(language)
        kept = list(pool[: counts[language]])
        framed = counts.get(f"{language}_in_korean_frame", 0)
        fresh = composites(pool, counts[language] - len(kept) + framed, seed)
        bases = kept + fresh[: counts[language] - len(kept)]
        copies = [] if language == "zh" else list(_copies(f"{language}_", bases, counts, seed))
        groups = {case.group for case in copies}
        for text in bases:
            yield Case(language, text, language, why="screen", encoding=_encoding(text, seed),
                       group=text.id if text.id in groups else None)  # fmt: skip
        yield from copies
        for text in fresh[counts[language] - len(kept) :]:
            yield Case(f"{language}_in_korean_frame", text, "ko", why="language")


def _encoding(text: Text, seed: int) -> str:
    dice = Dice(seed, "encoding", text.id)
    if text.language not in FOREIGN_ENCODINGS or dice.chance(0.75):
        return "utf8"
    return dice.pick(FOREIGN_ENCODINGS[text.language])


def _junk(counts: dict[str, int], seed: int) -> Iterator[Case]:
    for name, (make, why) in JUNK.items():
        for number in range(counts[name]):
            text, body = make(f"{name}-{number:03d}", Dice(seed, name, number))
            yield Case(name, text, "ko", why=why, body=body)


def _technical(counts: dict[str, int]) -> Iterator[Case]:
    for name in TECHNICAL:
        if name.startswith("status") or name == "empty":
            why = name.partition("_")[0]
        else:
            why = "mime" if name in ("pdf", "json", "image", "stylesheet") else "extract"
        for number in range(counts[name]):
            yield Case(name, Text(f"{name}-{number:03d}", "ko", None, name, ()), "ko", why=why)
