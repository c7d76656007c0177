"""Mojibake that is meant: text that shows damage in order to speak of it, and is wrong once the damage is repaired.

A line stays that holds a damaged word and its repair side by side (`é | Ã©`), or short lines near it do; and a line with
or near a word for the thing (mojibake, 文字化け, 글자가 깨져). One stays as well whose damage is shown: in quotes, a code span, a
cell; or, in a text that speaks of encodings, alone between spaces, or in a word of a line that names them. But these are
repaired where at least half of the damaged lines of the text are not of those kinds: that is a page that was read wrongly.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_NAMED = re.compile(
    r"mojibake|double[- ]encod|garbled (?:text|char|letter|string|word|output)|(?:weird|strange|funny) (?:char|symbol|letter)"
    r"|(?:read|decoded|interpreted|opened|treated|displayed) (?:as|with|in|using) (?:the wrong|another|utf|latin|iso|windows|cp)"
    r"|wrong(?:ly)? (?:encod|decod|char|code ?page)|(?:en|de)coding (?:error|issue|problem|mismatch)"
    r"|文字化け|乱码|亂碼|кракозябр|krzaki|(?:zeichen|buchstaben)salat|falsch (?:kodiert|dekodiert|gelesen)"
    r"|caract[eè]res? (?:bizarre|étrange|corrompu)|caracteres (?:extraños|raros|estranhos)"
    r"|(?:문자|글자|글씨|한글|텍스트|글)[^\n.]{0,20}깨[가-힣]|깨[진져지][가-힣]*\s(?:문자|글자|글씨|한글|텍스트|문구|글)|외계어"
    r"|인코딩[이을를]?\s?(?:문제|오류|에러|다르|달라|맞지|잘못)|(?:utf-?8|cp949|euc-?kr|latin-?1)[^\n.]{0,10}(?:읽|열[면어]|해석)"
)
_ENCODING = re.compile(
    r"utf-?8|utf-?16|latin-?1\b|iso[- _]?8859|windows[- _]?125\d|cp[- _]?(?:125\d|949|437|850)|euc-?kr|shift[-_ ]?jis|unicode"
    r"|charset|character (?:set|encoding)|code ?page|\b(?:en|de)cod(?:e|ed|er|ing)\b|인코딩|디코딩|인코드|유니코드|文字コード|エンコード"
    r"|编码|編碼|кодировк|codificaci|codificaç|encodage|kodierung|zeichensatz"
)
_RUNS = re.compile("[^\x00-\x7f]+")
_C2 = "ÂВ"  # in windows-1252 and -1251: what follows this byte is what it is in UTF-8 as well
_UNSPACED = re.compile("[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7a3]")
_QUOTE = re.compile("[\"'`<>\\[\\]{}=,;:/\\\\“”‘’«»„‚「」『』《》〈〉]")
_MARKED = re.compile("[\"'`“”‘’«»„‚「」『』]")
_CELL = re.compile(r"[|\t]")
_BESIDE = 80
"""Characters between a damaged word and its repair at most, and of a line that shows one of the two."""
_BEFORE, _AFTER = 1, 3
"""Lines before and after the one that names the thing, which may show it."""
_SOUND = 20
"""Least characters of a line that counts as running text."""


@dataclass(frozen=True, slots=True)
class _Damage:
    """Characters [start, end) of a line and the word that they are in; `repaired`, that word repaired; `put`, of it what
    takes the place of the damage."""

    start: int
    end: int
    word: tuple[int, int]
    repaired: str
    put: str

    @property
    def alone(self) -> bool:
        return self.word == (self.start, self.end)

    @property
    def mark(self) -> bool:
        """Whether it is no letter: dashes, bullets, closing quotes and signs stand alone in running text as well."""
        return not any(map(str.isalnum, self.put))


def discussed(lines: Sequence[str], repairs: Mapping[int, str]) -> set[int]:
    """Of the lines that could be repaired (number -> repaired line) those that are to stay as they are."""
    stay: set[int] = set()
    shown: set[int] = set()
    alone: set[int] = set()
    real = 0
    near = {n for number in repairs for n in range(number - _AFTER, number + _BEFORE + 1) if 0 <= n < len(lines)}
    naming = [number for number in near if _NAMED.search(lines[number].lower())]
    named = {n for number in naming for n in range(number - _BEFORE, number + _AFTER + 1)}
    written = [number for number, line in enumerate(lines) if line and not line.isspace()]
    found = {number: _damage(lines[number], read) for number, read in repairs.items()}
    intact = list(lines)
    for number, damage in found.items():
        intact[number] = _intact(lines[number], damage)
    for number, read in repairs.items():
        line, damage = lines[number], found[number]
        beside = any(_beside(line, intact[number], one) for one in damage)
        if number in named or beside or _paired(intact, written, number, damage):
            stay.add(number)
        elif damage and all(_enclosed(line, one) for one in damage):
            shown.add(number)
        elif not damage or not any(one.alone or not one.mark for one in damage):
            real += 1
        elif not all(one.mark for one in damage) and _ENCODING.search(line.lower()):
            shown.add(number)
        elif _alone(damage, read, lines, repairs):
            alone.add(number)
        elif not all(one.alone and one.mark for one in damage):
            real += 1
    if not alone or any(_ENCODING.search(line.lower()) for line in lines):
        shown |= alone
    else:
        real += len(alone)
    return stay if 2 * real >= len(repairs) else stay | shown


def _damage(line: str, read: str) -> list[_Damage]:
    """Where a line and its repair differ. None where their ASCII characters do."""
    if _RUNS.split(line) != _RUNS.split(read):
        return []
    found: list[_Damage] = []
    for old, new in zip(_RUNS.finditer(line), _RUNS.finditer(read), strict=True):
        if old[0] == new[0]:
            continue
        head = tail = 0
        least = min(len(old[0]), len(new[0]))
        while head < least and old[0][head] == new[0][head]:
            head += 1
        while tail < least - head and old[0][-1 - tail] == new[0][-1 - tail]:
            tail += 1
        if tail and old[0][-1 - tail] in _C2:
            tail -= 1
        start, end = old.start() + head, old.end() - tail
        low, high = start, end
        while low and _joined(line[low - 1]):
            low -= 1
        while high < len(line) and _joined(line[high]):
            high += 1
        put = new[0][head : len(new[0]) - tail]
        found.append(_Damage(start, end, (low, high), line[low:start] + put + line[end:high], put))
    return found


def _joined(character: str) -> bool:
    """Whether a character beside damage is of the same word: Korean particles and the like are not."""
    return character.isalnum() and not _UNSPACED.match(character)


def _intact(line: str, damage: Iterable[_Damage]) -> str:
    """The line with letters in place of its damage, which hide what is left of a sequence at its ends."""
    characters = list(line)
    for one in damage:
        characters[one.start : one.end] = "x" * (one.end - one.start)
    return "".join(characters)


def _beside(line: str, intact: str, one: _Damage) -> bool:
    """Whether the repaired word stands near the damaged one. A mark by itself counts only where both are shown so."""
    low, high = one.word
    mark = one.alone and one.mark
    if mark and not _stands(line, low, high):
        return False
    return _holds(intact[max(0, low - _BESIDE) : high + _BESIDE], one.repaired, mark)


def _paired(intact: Sequence[str], written: Sequence[int], number: int, damage: Sequence[_Damage]) -> bool:
    """Whether a short line next to this short line, but for empty ones, shows what a word of this one would be."""
    if len(intact[number]) > _BESIDE:
        return False
    at = bisect_left(written, number)
    near = [intact[n] for n in written[max(0, at - 2) : at + 3] if n != number and len(intact[n]) <= _BESIDE]
    return any(_holds(line, one.repaired, one.alone) for line in near for one in damage)


def _holds(text: str, word: str, shown: bool) -> bool:
    """Whether the word stands in the text, as a word, and where `shown` is asked for by itself."""
    if not word.strip():
        return False
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        before = at and _joined(text[at - 1]) and word[0].isalnum()
        after = end < len(text) and _joined(text[end]) and word[-1].isalnum()
        if not before and not after and (not shown or _stands(text, at, end)):
            return True
        at = text.find(word, at + 1)
    return False


def _stands(line: str, start: int, end: int) -> bool:
    """Whether [start, end) is shown by itself: between spaces, quotes, or the ends of the line."""
    return all(
        not c or c.isspace() or _QUOTE.match(c) or _CELL.match(c)
        for c in (line[start - 1 : start], line[end : end + 1].strip(".!?"))
    )


def _enclosed(line: str, one: _Damage) -> bool:
    """Whether damage is in quotes or the like, or is a cell of a row; a mark, in quotation marks."""
    before, after = line[: one.start], line[one.end :]
    quote = _MARKED if one.mark else _QUOTE
    if quote.match(before[-1:]) and quote.match(after[:1]):
        return True
    before, after = before.rstrip(" ")[-1:], after.lstrip(" ")[:1]
    return not one.mark and all(not c or bool(_CELL.match(c)) for c in (before, after)) and before + after != ""


def _alone(damage: Sequence[_Damage], read: str, lines: Sequence[str], repairs: Mapping[int, str]) -> bool:
    """Whether no damage is within a word, and it is no line that is damaged as a whole, unless among sound ones."""
    if not all(one.alone for one in damage) or all(one.mark for one in damage):
        return False
    if 2 * sum(len(one.put) for one in damage) < sum(map(str.isalnum, read)):
        return True
    return sum(len(line) >= _SOUND for n, line in enumerate(lines) if n not in repairs) >= len(repairs)
