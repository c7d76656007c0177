"""Documents made from the originals: composites that stay apart from each other, near duplicates, documents with invented
personal data, and what a curated corpus does without: stuffing, gambling, abuse, lists, chatter, garbage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.page import text
from winnow.pipelines.sample.texts import DOMAINS, Text, chrome, korean, lines

MOST_SHARED = 0.36
"""Highest Jaccard, in words of shared paragraphs, of two composites: far below what counts as a duplicate."""
NEAR = (0.85, 0.97)
"""Jaccard of word 5-grams between a document and its near duplicate."""


def weight(paragraph: str, language: str) -> int:
    """Words of a paragraph; characters where words are not spaced."""
    return len(paragraph) if language in ("ja", "zh") else len(paragraph.split())


def grams(text: str, language: str) -> set[tuple[str, ...]]:
    """Word 5-grams (character 5-grams for Japanese and Chinese)."""
    units = list(text.replace("\n", "")) if language in ("ja", "zh") else text.split()
    return {tuple(units[at : at + 5]) for at in range(max(1, len(units) - 4))}


def overlap(one: str, other: str, language: str) -> float:
    """Jaccard similarity of the 5-grams of two texts."""
    left, right = grams(one, language), grams(other, language)
    return len(left & right) / len(left | right)


def composites(pool: Sequence[Text], count: int, seed: int) -> list[Text]:
    """`count` documents of 3 to 5 paragraphs, each paragraph of another original, no two alike by MOST_SHARED.

    Raises ValueError when the pool is too small to yield that many.
    """
    if count == 0:
        return []
    language, label = pool[0].language, pool[0].domain or pool[0].language
    dice = Dice(seed, "composites", language, label)
    made: list[Text] = []
    taken: list[dict[tuple[int, int], int]] = []
    for _ in range(count * 150):
        if len(made) == count:
            break
        sources = dice.sample(range(len(pool)), dice.between(3, 5))
        chosen: dict[tuple[int, int], int] = {}
        for source in sources:
            at = dice.below(len(pool[source].paragraphs))
            chosen[source, at] = weight(pool[source].paragraphs[at], language)
        if sum(chosen.values()) < (220 if language in ("ja", "zh") else 90):
            continue
        if any(_shared(chosen, other) > MOST_SHARED for other in taken):
            continue
        taken.append(chosen)
        first, second = pool[sources[0]], pool[sources[1]]
        made.append(
            Text(
                id=f"{language}-{label}-composite-{len(made) + 1:03d}",
                language=language,
                domain=pool[0].domain,
                title=dice.pick(chrome(language).titles).format(a=first.title, b=second.title),
                paragraphs=tuple(pool[source].paragraphs[at] for source, at in chosen),
            )
        )
    if len(made) < count:
        raise ValueError(f"{label}: {len(pool)} originals yield {len(made)} composites, {count} were asked for")
    return made


def _shared(one: dict[tuple[int, int], int], other: dict[tuple[int, int], int]) -> float:
    both = sum(one[key] for key in one.keys() & other.keys())
    return both / (sum(one.values()) + sum(other.values()) - both)


def near_duplicate(text: Text, number: int, seed: int) -> Text:
    """The document with words changed, or a sentence added or removed, by NEAR. Raises ValueError if none is found."""
    for attempt in range(60):
        dice = Dice(seed, "near", text.id, number, attempt)
        paragraphs = list(text.paragraphs)
        for _ in range(dice.between(1, 3)):
            _edit(paragraphs, text.language, dice)
        edited = replace(text, id=f"{text.id}-near-{number}", paragraphs=tuple(paragraphs))
        if NEAR[0] <= overlap(text.body, edited.body, text.language) <= NEAR[1]:
            return edited
    raise ValueError(f"{text.id}: no edit gives a near duplicate; it has {weight(text.body, text.language)} words")


def _edit(paragraphs: list[str], language: str, dice: Dice) -> None:
    at = dice.below(len(paragraphs))
    way = dice.below(3)
    if way == 0:
        paragraphs[-1] += ("" if language == "ja" else " ") + dice.pick(lines(f"{language}-near"))
    elif way == 1:
        stop = "。" if language == "ja" else ". "
        head, found, _ = paragraphs[at].rpartition(stop)
        if found and len(head) > 40:
            paragraphs[at] = head + stop.strip()
    else:
        present = [(a, b) for a, b in chrome(language).swaps if a in paragraphs[at]]
        if present:
            old, new = dice.pick(present)
            paragraphs[at] = paragraphs[at].replace(old, new, 1)


WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data in the main text: `start` and `end` are character offsets into it."""

    kind: str
    start: int
    end: int
    value: str


def resident_number(dice: Dice) -> str:
    """A string shaped like a resident registration number whose check digit is wrong, so it is nobody's."""
    digits = [
        *map(int, f"{dice.between(50, 99):02d}{dice.between(1, 12):02d}{dice.between(1, 28):02d}"),
        dice.between(1, 2),
        *(dice.below(10) for _ in range(5)),
    ]
    check = (11 - sum(weight * digit for weight, digit in zip(WEIGHTS, digits, strict=True)) % 11) % 10
    digits.append((check + dice.between(1, 9)) % 10)
    return "".join(map(str, digits[:6])) + "-" + "".join(map(str, digits[6:]))


def with_personal_data(text: Text, dice: Dice) -> tuple[Text, tuple[Span, ...]]:
    """The document with one sentence of contact details added, and where each detail stands in its body."""
    values = {
        "name": dice.pick(chrome("ko").authors),
        "phone": f"010-0000-{dice.below(10000):04d}",
        "email": f"{dice.pick(('garam', 'haneul', 'sol', 'nuri', 'daon'))}{dice.below(1000)}@example.com",
        "resident": resident_number(dice),
    }
    form = dice.pick(chrome("ko").contacts)
    extended = replace(text, paragraphs=(*text.paragraphs, form.format(**values)))
    body = extended.body
    spans = [
        Span(kind, body.rfind(value), body.rfind(value) + len(value), value)
        for kind, value in values.items()
        if "{" + kind + "}" in form
    ]
    return extended, tuple(sorted(spans, key=lambda span: span.start))


Junk = tuple[Text, str | None]
"""The document, and its inner HTML where that is more than paragraphs."""


def _text(key: str, title: str, paragraphs: Sequence[str]) -> Text:
    return Text(key, "ko", None, title, tuple(paragraphs))


def _code(dice: Dice) -> str:
    return "".join("abcdefghjkmnpqrstuvwxyz23456789"[dice.below(31)] for _ in range(6))


def _written(rows: Sequence[str], dice: Dice) -> list[str]:
    """Half of such pages end their lines as sentences and group them, so that punctuation alone betrays no page."""
    if dice.chance(0.5):
        return list(rows)
    marked = [row + dice.pick((".", ".", "!", "!!", "?")) for row in rows]
    return [" ".join(marked[at : at + 3]) for at in range(0, len(marked), 3)]


def _paragraphs(sentences: Sequence[str], dice: Dice) -> list[str]:
    paragraphs, at = [], 0
    while at < len(sentences):
        size = dice.between(2, 4)
        paragraphs.append(" ".join(sentences[at : at + size]))
        at += size
    return paragraphs


def spam(key: str, dice: Dice) -> Junk:
    """A page stuffed with one or two keywords."""
    words = dice.sample(lines("ko-keywords"), 2)
    rows = [dice.pick(lines("ko-spam")).format(k=dice.pick(words)) for _ in range(dice.between(10, 24))]
    return _text(key, f"{words[0]} {words[0]} 추천 {words[1]} 가격", _written(rows, dice)), None


def gambling(key: str, dice: Dice) -> Junk:
    """Advertising for gambling and adult services, in slogans or in whole sentences."""
    if dice.chance(0.5):
        rows = [row.format(c=_code(dice)) for row in dice.sample(lines("ko-pitches"), dice.between(8, 13))]
        return _text(key, " ".join(rows[0].split()[:5]), _paragraphs(rows, dice)), None
    rows = [row.format(c=_code(dice)) for row in dice.sample(lines("ko-gambling"), dice.between(7, 13))]
    return _text(key, rows[0][:24], _written(rows, dice)), None


def abuse(key: str, dice: Dice) -> Junk:
    """A post made of insults, thrown out or written in whole sentences."""
    if dice.chance(0.5):
        rows = dice.sample(lines("ko-rants"), dice.between(8, 14))
        return _text(key, " ".join(rows[0].split()[:5]), _paragraphs(rows, dice)), None
    rows = dice.sample(lines("ko-abuse"), dice.between(9, 14))
    return _text(key, " ".join(rows[0].split()[:4]), _written(rows, dice)), None


def links(key: str, dice: Dice) -> Junk:
    """A farm of links to other farms."""
    names = [
        f"{dice.pick(lines('ko-keywords'))} {dice.pick(lines('ko-keywords'))}" for _ in range(dice.between(60, 160))
    ]
    rows = "".join(f'<li><a href="http://{_code(dice)}.example/">{text(name)}</a></li>' for name in names)
    return _text(key, "추천 사이트 모음", names), f"<ul>{rows}</ul>"


def listing(key: str, dice: Dice) -> Junk:
    """An index page: titles, dates and counts, no text of its own."""
    titles = [original.title for domain in DOMAINS for original in korean(domain)]
    rows = dice.sample(titles, dice.between(20, 45))
    cells = "".join(
        f'<tr><td>{len(rows) - at}</td><td><a href="/v/{dice.below(10**6)}">{text(row)}</a></td>'
        f"<td>20{dice.between(10, 24)}-0{dice.between(1, 9)}-{dice.between(10, 28)}</td><td>{dice.below(900)}</td></tr>"
        for at, row in enumerate(rows)
    )
    pages = " ".join(f'<a href="?page={number}">{number}</a>' for number in range(1, 11))
    return _text(
        key, "전체 글 목록", rows
    ), f'<table class="board_list">{cells}</table><div class="paging">{pages}</div>'


def chatter(key: str, dice: Dice) -> Junk:
    """A thread of one-line remarks."""
    rows = [dice.pick(lines("ko-chatter")) for _ in range(dice.between(20, 50))]
    return _text(key, "자유롭게 한마디 남기는 곳 ㅎㅎ", rows), None


def garbled(key: str, dice: Dice) -> Junk:
    """Text that a machine spoiled: random syllables, replacement debris, words in random order."""
    way = dice.below(3)
    source = dice.pick(korean(dice.pick(DOMAINS)))
    if way == 0:
        rows = [
            " ".join(
                "".join(chr(0xAC00 + dice.below(11172)) for _ in range(dice.between(1, 5)))
                for _ in range(dice.between(20, 40))
            )
            for _ in range(5)
        ]
        rows = _written(rows, dice)
    elif way == 1:
        rows = [
            " ".join("占쏙옙" * dice.between(1, 3) if dice.chance(0.7) else word for word in paragraph.split())
            for paragraph in source.paragraphs
        ]
    else:
        rows = [paragraph.encode("utf-8").decode("cp1252", "replace") for paragraph in source.paragraphs]
    return _text(key, chrome("ko").menu[dice.below(20)], rows), None


JUNK: dict[str, tuple[Callable[[str, Dice], Junk], str]] = {
    "spam": (spam, "rules"),
    "gambling": (gambling, "quality"),
    "abuse": (abuse, "toxicity"),
    "links": (links, "rules"),
    "listing": (listing, "rules"),
    "chatter": (chatter, "rules"),
    "garbled": (garbled, "quality"),
}
"""Category -> its maker and the stage that is expected to drop it (another that does is as right)."""
