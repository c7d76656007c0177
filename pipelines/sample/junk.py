"""Pages that a curated corpus does without: stuffing, gambling, abuse, lists, chatter, garbage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.page import text
from winnow.pipelines.sample.texts import DOMAINS, Text, chrome, korean, lines

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
