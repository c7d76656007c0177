"""Documents made from the originals: composites that stay apart from each other, and near duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.texts import Text, lines

MOST_SHARED = 0.36
"""Highest Jaccard, in words of shared paragraphs, of two composites: far below what counts as a duplicate."""
NEAR = (0.85, 0.97)
"""Jaccard of word 5-grams between a document and its near duplicate."""

TITLES = {
    "ko": ("{a}, 그리고 {b}", "{a} 외 여러 이야기", "[모아 읽기] {a} / {b}", "이번 주에 읽은 글: {a}"),
    "en": ("{a}, and {b}", "{a} and other pieces", "Collected: {a} / {b}", "This week: {a}"),
    "ja": ("{a}、そして{b}", "{a}ほか", "【まとめ】{a}", "今週の読み物：{a}"),
    "zh": ("{a}，以及{b}", "{a}等文章", "【合集】{a}", "本周阅读：{a}"),
}
SWAPS = {
    "ko": (
        ("그리고", "또한"), ("하지만", "그러나"), ("그래서", "따라서"), ("아주", "매우"), ("다만", "단지"),
        ("가장", "제일"), ("매일", "날마다"), ("처음에는", "애초에는"), ("지금은", "이제는"), ("올해", "금년"),
        ("지난해", "작년"), ("사람들은", "이들은"), ("대부분", "거의"), ("직접", "손수"), ("함께", "같이"),
        ("다시", "거듭"), ("먼저", "우선"), ("모두", "전부"), ("때문에", "까닭에"), ("있다.", "있습니다."),
        ("했다.", "하였다."), ("말했다.", "밝혔다."), ("것이다.", "것이었다."), ("있어요.", "있답니다."),
    ),
    "en": (
        ("often", "frequently"), ("because", "since"), ("nearly", "almost"), ("usually", "normally"),
        ("people", "folk"), ("every", "each"), ("large", "big"), ("until", "till"), ("although", "though"),
    ),
    "ja": (("また", "さらに"), ("しかし", "けれども"), ("今も", "現在も"), ("すぐに", "ただちに"), ("多く", "大半")),
}  # fmt: skip


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
                title=dice.pick(TITLES[language]).format(a=first.title, b=second.title),
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
        present = [(a, b) for a, b in SWAPS[language] if a in paragraphs[at]]
        if present:
            old, new = dice.pick(present)
            paragraphs[at] = paragraphs[at].replace(old, new, 1)
