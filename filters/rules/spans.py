"""Which stretches of a text the value of a measure comes from, for every measure of `measures.py`.

The kernels count, this names the places, so that a person can see what a rule saw. It is plain Python for the few
documents that are looked at, but it cuts a text with the kernels' own cutters (`cut_text.py`) and compares lines by their hashes:
what it names reproduces the value that was measured, and `tests/filters/test_spans.py` checks that for every measure
where an equality exists. Stretches are sorted and never overlap; two may touch, since their number means something
(words of a script without spaces, '##').
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from winnow.filters.languages import LanguagePack
from winnow.filters.passages import Span
from winnow.filters.rules import c4, characters, density, line_spans, url_shape, web_lines, word_spans
from winnow.filters.rules.cut_text import Cut, cut_text


def spans(
    text: str, measure: str, pack: LanguagePack, unit: str | None = None, *, more_bad_words: tuple[str, ...] = ()
) -> list[Span]:
    """The stretches of `text` that the value of `measure` comes from, sorted, not overlapping; none for a measure of
    the whole text (`char_count`, `line_count`, `word_count`, `newline_ratio`) or where nothing was found.

    `pack` gives the word lists, `unit` is the word unit (the pack's own unless given), `more_bad_words` are entries
    beside the pack's, all as the value was measured with. Shares that
    are high in good text are shown by what lowers them: `line_punctuation` by lines that do not end a sentence,
    `running_lines` by lines that do not run on, `alpha_word_share` by words without a letter, `hangul_ratio` by other letters, `unique_words` by repeated words;
    `stop_words`, `ending_share` and `sentence_end_share` by what was found. Raises ValueError for an unknown measure.
    """
    if measure not in _FINDERS:
        raise ValueError(f"no measure '{measure}': expected one of {', '.join(_FINDERS)}")
    return _FINDERS[measure](cut_text(text, pack, unit, more_bad_words))


def _none(cut: Cut) -> list[Span]:
    return []


_FINDERS: Mapping[str, Callable[[Cut], list[Span]]] = {
    "char_count": _none,
    "line_count": _none,
    "word_count": _none,
    "mean_word_length": word_spans.long_words,
    "alpha_word_share": word_spans.words_without_letter,
    "hash_ratio": word_spans.hashes,
    "ellipsis_ratio": word_spans.ellipses,
    "bullet_lines": line_spans.bullet_lines,
    "ellipsis_lines": line_spans.ellipsis_lines,
    "stop_words": word_spans.stop_words,
    "plain_stop_words": word_spans.plain_stop_words,
    "dup_lines": line_spans.repeated_lines,
    "dup_line_chars": line_spans.repeated_lines,
    "dup_paragraphs": line_spans.repeated_paragraphs,
    "dup_paragraph_chars": line_spans.repeated_paragraphs,
    "unique_words": word_spans.repeated_words,
    "top_word_share": word_spans.top_word,
    **{f"top_{n}gram_share": partial(word_spans.top_grams, n=n) for n in (2, 3, 4)},
    **{f"dup_{n}gram_share": partial(word_spans.repeated_grams, n=n) for n in range(5, 11)},
    "line_punctuation": line_spans.unended_lines,
    "short_lines": line_spans.short_lines,
    "newline_ratio": _none,
    "hangul_ratio": word_spans.letters_of_other_scripts,
    "jamo_ratio": word_spans.jamo,
    "ending_share": word_spans.words_with_ending,
    "sentence_end_share": word_spans.words_that_end_sentences,
    "bad_words": word_spans.listed_bad_words,
    "bad_word_share": word_spans.listed_bad_words,
    "char_run_share": word_spans.character_runs,
    "bare_line_punctuation": line_spans.bare_unended_lines,
    "hanja_ratio": word_spans.hanja,
    "unspaced_share": word_spans.unspaced_words,
    "spelled_share": word_spans.spelled_words,
    "jamo_runs": word_spans.jamo_runs,
    "bare_repeats": word_spans.bare_repeats,
    "place_share": word_spans.place_names,
    "phone_lines": line_spans.phone_lines,
    "repeated_phones": line_spans.repeated_phones,
    "c4_sentences": line_spans.c4_dropped_lines,
    "c4_kept_lines": line_spans.c4_dropped_lines,
    "c4_citations": line_spans.c4_citations,
    **{
        name: partial(line_spans.c4_lines, column=name)
        for name in c4.COLUMNS
        if name not in ("c4_sentences", "c4_kept_lines", "c4_citations")
    },
    **{name: partial(line_spans.page_lines, column=name) for name in web_lines.COLUMNS},
    "digit_ratio": partial(word_spans.of_kind, wanted=characters.DIGIT),
    "symbol_ratio": partial(word_spans.of_kind, wanted=characters.SYMBOL),
    "punctuation_ratio": partial(word_spans.of_kind, wanted=characters.PUNCTUATION),
    "damaged_ratio": partial(word_spans.of_kind, wanted=characters.DAMAGED),
    "uppercase_ratio": partial(word_spans.of_kind, wanted=characters.CAPITAL),
    "all_caps_words": word_spans.shouted_words,
    **{
        name: partial(line_spans.dense_lines, column=at)
        for at, name in enumerate(density.COLUMNS)
        if name != "link_density"
    },
    "link_density": line_spans.links,
    "lettered_words": word_spans.numbers_alone,
    "hashtag_ratio": word_spans.hashtags,
    "running_lines": line_spans.lines_that_do_not_run,
    "running_share": line_spans.lines_that_do_not_run,
    "label_ratio": line_spans.labels,
    "tag_share": word_spans.tags,
    "spare_lines": line_spans.spare_lines,
    **{f"spare_{n}gram_share": partial(word_spans.spare_grams, n=n) for n in (2, 3, 4)},
    "mtld": word_spans.repeated_words,
    "word_entropy": word_spans.repeated_words,
    "single_use_words": word_spans.single_words,
    "compression_ratio": _none,
    **dict.fromkeys(url_shape.COLUMNS, _none),
}
