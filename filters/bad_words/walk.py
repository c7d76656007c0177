"""The walk of the trie from one character: every reading of the text at once.

A syllable may go on with a letter that stands alone, `1` may be `i` or `l`: a depth-first search with a small stack
follows all of them. The end of the longest entry wins; an exception as long as it takes it back. `match.py` is
compiled with this file.

What is accepted as evasion, and within which bounds:
- Korean: letters that stand alone make syllables (`ㅅㅣㅂㅏㄹ`); a vowel drawn out by up to eight (`씨이이발`, `씨바아알`);
  up to three signs or digits between two characters of one word (`시1발`, `씨.발`), between lone letters no `,/-·`,
  which separate the letters of an enumeration.
- Latin and others: look-alikes beside at least one real letter (digits: in words of four and more, and no more of them
  than letters), a letter drawn out to three and more, `*` for up to two inner letters of words of four and more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from winnow.filters.bad_words.alphabet import END, FINALS, FIRST_VOWEL, INITIALS, LAST_JAMO
from winnow.filters.bad_words.table import EXCEPTION, PREFIX, SYMBOL_BITS, WHOLE
from winnow.filters.character_classes import CONTENT, HANGUL, JAMO, LETTER, SINGLE, SPACE
from winnow.filters.kernel import inline, subroutine

CLOSED = 0  # between characters
OPEN = 1  # behind the vowel of a syllable without final
LOOSE = 2  # behind a Hangul letter that stands alone
FULL = 3  # behind the final of a syllable

DEPTH = 256
_LONGEST_GAP = 16
_MASK = 0x2A
_HYPHENS = (0x2D, 0x5F)
_DASH = 0x3161  # ㅡ, written between syllables to draw one out
SILENT = INITIALS.index("ㅇ")
_INITIALS = tuple(ord(letter) for letter in INITIALS)
_FINALS = (0, *(ord(letter) for letter in FINALS))
_WEEPING = (0x3160, 0x315C, 0x3161)  # ㅠㅜㅡ behind a word are no part of it


@inline
def _look_up(keys: Any, values: Any, key: Any) -> Any:
    mask = len(keys) - 1
    at = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while keys[at] != 0:
        if keys[at] == key:
            return values[at]
        at = (at + 1) & mask
    return np.int64(0)


@subroutine
def child(keys: Any, values: Any, node: Any, symbol: Any) -> Any:
    if node == 0:
        return np.int64(0)
    return _look_up(keys, values, (np.int64(node) << SYMBOL_BITS) | np.int64(symbol))


@inline
def katakana(code: Any) -> Any:
    return 0x30A1 <= code <= 0x30FA or code == 0x30FC or 0xFF66 <= code <= 0xFF9D


@inline
def _noise(code: Any, bits: Any, loose: Any) -> Any:
    """A sign or digit that may stand within a Korean word; `loose`: between letters that stand alone."""
    if code == _DASH:
        return True
    if bits & (SPACE | LETTER):
        return False
    if 0x30 <= code <= 0x39 or code == 0x2E or code == 0x2A or code == 0x5E:
        return True
    if code < 0x80:
        if loose and (code == 0x2C or code == 0x2F or code == 0x2D):
            return False
        return code >= 0x21 and code not in (0x22, 0x28, 0x29, 0x2B, 0x3C, 0x3E, 0x5B, 0x5D, 0x7B, 0x7D)
    return (not loose and code == 0xB7) or 0x2600 <= code <= 0x27BF or code == 0xFF0E


@subroutine
def _rest_fits(codes: Any, classes: Any, at: Any, stop: Any, rest_keys: Any, rest_values: Any, longest: Any) -> Any:
    """Whether the Hangul syllables from `at` on are nothing or particles."""
    end = at
    while end < stop and end - at <= 12 and classes[end] & HANGUL:
        end += 1
    syllables = end - at
    if syllables == 0:
        return True
    if syllables > 12:
        return False
    reached = np.int64(1)
    for i in range(syllables):
        if not (reached >> i) & 1:
            continue
        h = np.uint64(0x0BF29CE484222325)
        for j in range(i, min(syllables, i + longest)):
            h = ((h ^ np.uint64(codes[at + j])) * np.uint64(0x100000001B3)) & np.uint64(0x3FFFFFFFFFFFFFFF)
            if _look_up(rest_keys, rest_values, np.int64(h)):
                reached |= np.int64(1) << (j + 1)
    return (reached >> syllables) & 1 == 1


@subroutine
def _ends(
    codes: Any,
    classes: Any,
    begin: Any,
    first: Any,
    at: Any,
    stop: Any,
    masked: Any,
    rest_keys: Any,
    rest_values: Any,
    longest: Any,
) -> Any:
    """Whether an entry without `*` that was read from `first` up to `at` may end there."""
    bits = classes[at - 1]
    after = classes[at] if at < stop else np.uint8(0)
    if bits & HANGUL:
        return _rest_fits(codes, classes, at, stop, rest_keys, rest_values, longest)
    if bits & JAMO:
        return not after & HANGUL
    if bits & SINGLE:
        if katakana(codes[at - 1]):
            return at == stop or not katakana(codes[at])
        if at - first == 1:
            return not after & LETTER and (first == begin or not classes[first - 1] & LETTER)
        return True
    if not bits & CONTENT and not masked:
        return True
    return not after & CONTENT or (after & (HANGUL | JAMO | SINGLE)) != 0


# How many characters of a kind an entry was read from, eight bits each.
_PLAIN = 1
_DIGIT = 1 << 8
_SIGN = 1 << 16
_SCRIPT = 1 << 24
_MASKED = 1 << 32
_DRAWN = 1 << 40
_MOST_DRAWN = 8


@inline
def _honest(counts: Any) -> Any:
    """Whether so many look-alikes are believed beside so many plain letters."""
    plain = counts & 255
    unsure = (counts >> 8 & 255) + (counts >> 32 & 255)  # digits, masks
    likely = (counts >> 16 & 255) + (counts >> 24 & 255)  # signs, letters of other scripts
    if unsure + likely == 0:
        return True
    if plain == 0 or plain + unsure + likely < 3:
        return False
    return unsure == 0 or (plain + unsure + likely >= 4 and plain >= unsure)


@inline
def _push(stack: Any, top: Any, node: Any, at: Any, state: Any, last: Any, counts: Any) -> Any:
    stack[top + 1, 0] = node
    stack[top + 1, 1] = at
    stack[top + 1, 2] = state
    stack[top + 1, 3] = last
    stack[top + 1, 4] = counts
    return top + 1


@subroutine
def syllable(keys: Any, values: Any, node: Any, symbol: Any) -> Any:
    """The node behind the letters of a Hangul syllable, without its END; 0 where the trie has none."""
    place = symbol - 0xAC00
    vowel = FIRST_VOWEL + place // 28 % 21
    grown = child(keys, values, child(keys, values, node, np.int64(_INITIALS[place // 588])), vowel)
    return child(keys, values, grown, np.int64(_FINALS[place % 28])) if place % 28 else grown


@subroutine
def walk(
    codes: Any,
    classes: Any,
    begin: Any,
    first: Any,
    stop: Any,
    inside: Any,
    symbols: Any,
    alike: Any,
    keys: Any,
    values: Any,
    marks: Any,
    gaps: Any,
    rest_keys: Any,
    rest_values: Any,
    longest: Any,
    stack: Any,
) -> Any:
    """From `first`: the end of the longest entry, and of the longest exception; 0 where none."""
    hit = np.int64(0)
    veto = np.int64(0)
    shift = 2 if inside else 0
    top = _push(stack, -1, 1, first, CLOSED, 0, 0)
    while top >= 0:
        node = stack[top, 0]
        at = stack[top, 1]
        state = stack[top, 2]
        last = stack[top, 3]
        counts = stack[top, 4]
        top -= 1
        if top + 40 >= len(stack):
            continue
        code = np.int64(codes[at]) if at < stop else np.int64(32)
        bits = classes[at] if at < stop else np.uint8(SPACE)
        symbol = np.int64(symbols[code]) if code < len(symbols) else code
        if state == CLOSED:
            mark = np.int64(marks[node]) >> shift
            if mark & 0x33 and last != _MASK and _honest(counts):
                fits = (mark & 0x11) != 0 and _ends(
                    codes, classes, begin, first, at, stop, counts >> 8 != 0, rest_keys, rest_values, longest
                )
                if mark & PREFIX or (mark & WHOLE and fits):
                    hit = max(hit, at)
                mark >>= EXCEPTION
                if mark & PREFIX or (mark & WHOLE and fits):
                    veto = max(veto, at)
        elif not 0x11A8 <= code <= 0x11FF:
            # A consonant before a vowel begins the next syllable, unless the vowel weeps.
            vowel_next = FIRST_VOWEL <= symbol <= LAST_JAMO and symbol not in _WEEPING
            closed = child(keys, values, node, END)
            if closed and not (state == LOOSE and last < FIRST_VOWEL and vowel_next):
                top = _push(stack, top, closed, at, CLOSED, 0, counts)
        if at >= stop:
            continue
        if symbol == 0:
            if at > first:
                top = _push(stack, top, node, at + 1, state, last, counts)
            continue
        loose = 0x3131 <= symbol <= LAST_JAMO
        drawn = counts >> 40
        if state != CLOSED:
            if loose:
                grown = child(keys, values, node, symbol)
                if grown:
                    top = _push(stack, top, grown, at + 1, LOOSE, symbol, counts)
                if symbol == last and symbol >= FIRST_VOWEL and drawn < _MOST_DRAWN:
                    top = _push(stack, top, node, at + 1, state, last, counts + _DRAWN)
            elif 0xAC00 <= symbol <= 0xD7A3 and drawn < _MOST_DRAWN:
                place = symbol - 0xAC00
                if place // 588 == SILENT and FIRST_VOWEL + place // 28 % 21 == last:
                    if place % 28 == 0:
                        top = _push(stack, top, node, at + 1, OPEN, last, counts + _DRAWN)
                    else:
                        grown = child(keys, values, node, np.int64(_FINALS[place % 28]))
                        if grown:
                            top = _push(stack, top, grown, at + 1, FULL, 0, counts + _DRAWN)
            continue
        gap = gaps[node]
        if gap:
            end = at
            while end < stop and end - at < _LONGEST_GAP and (classes[end] & SPACE or codes[end] in _HYPHENS):
                end += 1
            if end > at or (at > first and classes[at - 1] & HANGUL and bits & HANGUL):
                top = _push(stack, top, gap, end, CLOSED, 0, counts)
        if bits & SPACE:
            continue
        if 0xAC00 <= symbol <= 0xD7A3:
            grown = syllable(keys, values, node, symbol)
            if grown:
                final = (symbol - 0xAC00) % 28
                vowel = FIRST_VOWEL + (symbol - 0xAC00) // 28 % 21
                top = _push(stack, top, grown, at + 1, FULL if final else OPEN, 0 if final else vowel, counts)
            continue
        if loose and symbol != _DASH:
            grown = child(keys, values, node, symbol)
            if grown:
                top = _push(stack, top, grown, at + 1, LOOSE, symbol, counts)
            continue
        if at > first and not inside and classes[at - 1] & (HANGUL | JAMO):
            end = at
            among_letters = not classes[at - 1] & HANGUL
            while end < stop and end - at < 3 and _noise(codes[end], classes[end], among_letters):
                end += 1
            if at < end < stop and classes[end] & (HANGUL | JAMO):
                top = _push(stack, top, node, end, CLOSED, 0, counts)
        grown = child(keys, values, node, symbol)
        if grown:
            more = counts + _PLAIN if bits & LETTER else counts
            top = _push(stack, top, grown, at + 1, CLOSED, symbol, more)
        if symbol < alike.shape[1] and alike[0, symbol]:
            kind = _SCRIPT if symbol >= 0x80 else (_DIGIT if 0x30 <= symbol <= 0x39 else _SIGN)
            for reading in range(2):
                letter = np.int64(alike[reading, symbol])
                grown = child(keys, values, node, letter) if letter else np.int64(0)
                if grown:
                    top = _push(stack, top, grown, at + 1, CLOSED, letter, counts + kind)
        elif symbol == _MASK and counts >> 32 & 255 < 2 and counts & 255:
            for masked in range(0x61, 0x7B):
                grown = child(keys, values, node, masked)
                if grown:
                    top = _push(stack, top, grown, at + 1, CLOSED, _MASK, counts + _MASKED)
        if symbol == last and bits & LETTER and not bits & SINGLE and drawn < _MOST_DRAWN and codes[at - 1] == code:
            before = at - 2 >= first and codes[at - 2] == code
            behind = at + 1 < stop and codes[at + 1] == code
            if before or behind:
                top = _push(stack, top, node, at + 1, CLOSED, last, counts + _DRAWN)
    return hit, veto
