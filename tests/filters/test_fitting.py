"""Fitting a language pack's thresholds, words and writing from columns and counts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.filters.fitting import (
    FitError,
    clauses,
    writing,
)
from winnow.filters.fitting.clauses import FIXED, Clause, Limits, sensible
from winnow.filters.fitting.writing import WordCounts, core, stop_words
from winnow.filters.languages import language_pack, languages
from winnow.filters.pack_check import bound_problem
from winnow.filters.rules.table import MEASURES

UNITS = {m.name: m.unit for m in MEASURES}
SIDES = st.sampled_from(["least", "most"])
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=60).map(np.array)


def fit(expression, values, crawl=None, base=None, **limits):
    signal = expression.split()[0]
    columns = [None if c is None else {signal: np.asarray(c, float)} for c in (values, crawl, base)]
    return clauses.fit(clauses.parse({"p": {"c": expression}}), UNITS, *columns, Limits(**limits))[0]


@given(SHARES, SIDES, st.floats(0.0, 1.0))
def test_a_tail_drops_at_most_its_share_and_the_next_value_would_drop_more(values, side, share):
    found = clauses.tail(values, side, share)
    assert clauses.dropped(values, side, found) <= share + 1e-9
    tighter = values[values < found] if side == "most" else values[values > found]
    if len(tighter):
        nearest = tighter.max() if side == "most" else tighter.min()
        assert clauses.dropped(values, side, nearest) > share


@given(SHARES, SHARES, st.floats(0.001, 5), st.floats(0.001, 5))
def test_a_matched_threshold_grows_with_the_old_one(old, new, one, other):
    low, high = sorted((one, other))
    first, second = clauses.matched(old, new, low), clauses.matched(old, new, high)
    if first is not None and second is not None:
        assert first.threshold <= second.threshold + 1e-12 and first.quantile <= second.quantile + 1e-12


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=60, unique=True).map(np.array), st.floats(0.02, 2))
def test_a_threshold_among_the_same_values_stays(values, threshold):
    match = clauses.matched(values, values, threshold)
    assert match is not None and match.threshold == pytest.approx(threshold)
    doubled = clauses.matched(values, 2 * values, threshold)
    assert doubled is not None and doubled.threshold == pytest.approx(2 * threshold)


@given(st.floats(1e-4, 1e6), SIDES, st.booleans())
def test_rounding_loosens_and_moves_little(threshold, side, whole):
    found = clauses.rounded(threshold, side, whole)
    assert found >= threshold * (1 - 1e-8) if side == "most" else found <= threshold * (1 + 1e-8)
    assert abs(found - threshold) <= max(0.1 * threshold, 1 if whole else 0.001) + 1e-9
    assert clauses.rounded(found, side, whole) == found


def test_rounding_keeps_what_is_round():
    assert clauses.rounded(0.29, "least", False) == 0.29
    assert clauses.rounded(0.123, "most", False) == 0.13
    assert clauses.rounded(13.2, "least", False) == 13


@given(
    st.sampled_from(clauses.parse(language_pack("en").clauses)),
    st.lists(st.floats(0, 5000), min_size=1, max_size=40),
    st.none() | st.lists(st.floats(0, 5000), min_size=1, max_size=40),
    st.none() | st.lists(st.floats(0, 5000), min_size=1, max_size=40),
    st.booleans(),
)
def test_a_fitted_threshold_is_in_bounds_and_spares_the_reference(clause, values, crawl, base, joined):
    columns = [None if c is None else {clause.signal: np.array(c)} for c in (values, crawl, base)]
    try:
        fitted = clauses.fit([clause], UNITS, *columns, Limits(joined=joined))[0]
    except FitError:
        return
    assert fitted.threshold is not None
    least, most = sensible(clause.signal, UNITS[clause.signal], clause.side)
    assert least <= fitted.threshold <= most
    assert bound_problem(clause.signal, UNITS[clause.signal], fitted.threshold) is None
    assert fitted.reference <= 0.1 + 1e-9
    assert fitted.reference == clauses.dropped(np.array(values), clause.side, fitted.threshold)


@pytest.mark.parametrize("code", languages())
def test_every_threshold_of_a_pack_lies_within_what_is_sensible(code):
    pack = language_pack(code)
    for unit in (pack.word_unit, *pack.units):
        for c in clauses.parse(pack.rules(unit).clauses):
            least, most = sensible(c.signal, UNITS[c.signal], c.side)
            assert FIXED.fullmatch(c.signal) or least <= c.base <= most, c


def test_what_is_of_pages_keeps_the_base_value():
    columns = {"c4_sentences": np.arange(200.0), "mean_word_length": np.linspace(4, 6, 200)}
    wanted = clauses.parse({"c4": {"a": "c4_sentences >= 5"}, "p": {"b": "mean_word_length <= 10"}})
    page, _ = clauses.fit(wanted, UNITS, columns, None, None, Limits())
    assert (page.how, page.threshold) == ("base", 5)


def test_without_a_base_reference_the_tail_decides():
    found = fit("mean_word_length <= 10", np.linspace(5, 9, 1001))
    assert (found.how, found.threshold) == ("tail", 9.0)
    assert found.reference == pytest.approx(0.0, abs=0.011)


def test_with_a_base_reference_the_quantile_decides():
    english, long_words = np.linspace(4, 12, 1001), np.linspace(8, 24, 1001)
    found = fit("mean_word_length <= 10", long_words, base=english, most_reference=0.5)
    assert found.how == "matched" and found.threshold == 20
    assert found.match is not None and found.match.quantile == pytest.approx(0.75, abs=0.01)
    beyond = fit("mean_word_length <= 14", long_words, base=english)
    assert beyond.threshold == 28 and beyond.match is not None and beyond.match.beyond


def test_the_crawl_bounds_what_a_clause_may_drop():
    good, crawl = np.linspace(5, 7, 1001), np.concatenate([np.linspace(5, 7, 100), np.linspace(10, 20, 900)])
    found = fit("mean_word_length <= 10", good, crawl=crawl)
    assert found.crawl is not None and found.crawl <= 0.5 and "50% of the crawl" in found.note
    free = fit("mean_word_length <= 10", good, crawl=crawl, most_crawl=0.95)
    assert free.threshold == 7


def test_what_tells_nothing_apart_is_no_tighter_than_the_base():
    good = np.linspace(0.0, 0.1, 1001)
    found = fit("top_2gram_share <= 0.2", good, crawl=good / 2)
    assert found.threshold == 0.2 and "no more beyond it" in found.note
    dirty = np.concatenate([good, np.full(100, 0.5)])
    assert fit("top_2gram_share <= 0.2", good, crawl=dirty).threshold == 0.099


def test_joined_rows_say_nothing_of_lines_and_repetition_and_are_cleaner_than_documents():
    for expression in ("line_punctuation >= 0.12", "top_2gram_share <= 0.2", "short_lines <= 0.67"):
        found = fit_both(expression, joined=True)
        assert (found.how, found.expression) == ("base", expression) and "joined" in found.note
        assert fit_both(expression, joined=True, same_texts=True).how == "tail"
    numbers = fit_both("alpha_word_share >= 0.8", joined=True)
    assert numbers.threshold == 0.8 and "cleaner" in numbers.note
    words = np.linspace(6.3, 7.9, 101)
    for expression in ("mean_word_length <= 10", "mean_word_length >= 3"):
        found = fit(expression, words, joined=True)
        assert found.expression == expression and "cleaner" in found.note
        matched = fit(expression, words, base=words * (2 if "<=" in expression else 0.5), joined=True)
        assert matched.how == "matched" and matched.expression == expression
    assert fit("mean_word_length <= 10", words, base=words / 2, joined=True).threshold == 20


def test_a_share_of_joined_rows_is_no_tighter_in_another_unit_and_drops_no_more_crawl_than_before():
    before, now = np.linspace(0.8, 1, 101), np.linspace(0.98, 1, 101)
    pages = np.concatenate([np.linspace(0.7, 1, 101), np.linspace(0.92, 1, 101)])
    units = {"same_texts": True, "most_reference": 0.5}
    found = fit("alpha_word_share >= 0.82", now, base=before, joined=True, **units)
    assert found.threshold == 0.82 and "cleaner" in found.note
    assert fit("alpha_word_share >= 0.82", now, base=before, **units).threshold == 0.9
    parsed, columns = clauses.parse({"p": {"c": "alpha_word_share >= 0.82"}}), [now, pages, before, pages - 0.1]
    reference, crawl, base, base_crawl = ({"alpha_word_share": c} for c in columns)
    (guarded,) = clauses.fit(parsed, UNITS, reference, crawl, base, Limits(**units), base_crawl)
    assert guarded.crawl is not None and guarded.threshold == 0.9
    taken = clauses.dropped(pages - 0.1, "least", 0.82)
    (guarded,) = clauses.fit(
        parsed, UNITS, reference, {"alpha_word_share": pages - 0.15}, base, Limits(**units), base_crawl
    )
    assert guarded.crawl is not None and guarded.crawl <= taken and "0.82 drops of the crawl" in guarded.note


def fit_both(expression, **limits):
    """Beside another clause, since a fit of none is an error."""
    signal = expression.split()[0]
    columns = {signal: np.linspace(0.0, 0.1, 101) if "<=" in expression else np.linspace(0.9, 1, 101)}
    columns["mean_word_length"] = np.linspace(4, 6, 101)
    parsed = clauses.parse({"p": {"a": expression, "b": "mean_word_length <= 10"}})
    return clauses.fit(parsed, UNITS, columns, None, None, Limits(**limits))[0]


def test_degenerate_values_are_refused_with_the_reason():
    parsed = clauses.parse(
        {"p": {"a": "dup_lines <= 0.3", "b": "mean_word_length <= 10", "c": "alpha_word_share >= 0.8"}}
    )
    columns = {
        "dup_lines": np.zeros(200),
        "mean_word_length": np.full(200, 3141.0) + np.arange(200),
        "alpha_word_share": np.concatenate([np.zeros(100), np.linspace(0.1, 0.9, 100)]),
    }
    columns["top_2gram_share"] = np.linspace(0, 0.1, 200)
    parsed += clauses.parse({"p": {"d": "top_2gram_share <= 0.2"}})
    constant, long_words, few_letters, fine = clauses.fit(parsed, UNITS, columns, None, None, Limits())
    assert (constant.how, constant.threshold) == ("base", 0.3) and "0 in every text" in constant.note
    assert (
        long_words.threshold is None and "at most 50" in long_words.note and "100% of the reference" in long_words.note
    )
    assert few_letters.threshold is None and "between 0 and 1" in few_letters.note
    assert fine.threshold == 0.099


def test_a_fit_of_nothing_is_an_error():
    with pytest.raises(FitError, match="not one of 1 thresholds could be fitted"):
        fit("dup_lines <= 0.3", np.zeros(200))


def test_a_clause_that_is_no_comparison_is_refused():
    with pytest.raises(FitError, match=r"p\.c.*expected a signal"):
        clauses.parse({"p": {"c": "a <= 1 or b <= 2"}})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_the_cut_off_lies_between_its_bounds_and_depends_on_no_order(scores):
    found = writing.cut_off(scores)
    assert 0.3 <= found <= 0.9
    assert found == pytest.approx(max(0.3, min(0.9, np.median(scores) - np.std(scores))), abs=1e-3)
    assert writing.cut_off(sorted(scores)) == pytest.approx(found, abs=1e-3)


def test_a_reference_in_another_language_is_refused():
    labels = ["az"] * 60 + ["tr"] * 40
    with pytest.raises(FitError, match=r"40% of 100 documents are in 'tr' .* 60% 'az'"):
        writing.of_language(labels, [0.9] * 100, "tr", "reference", "--lang")
    assert writing.of_language(labels, [0.9] * 60 + [0.8] * 40, "az", "reference", "--lang") == [0.9] * 60


def counted(texts):
    counts = WordCounts()
    for text in texts:
        counts.add(text.split())
    return counts


def test_stop_words_are_frequent_letters_of_many_documents():
    functions = ["ve", "bir", "bu", "için", "ile", "olarak", "da", "de"]
    texts = [" ".join([*functions, *(f"söz{i}x{j}" for j in range(60)), "2024", "—"]) for i in range(100)]
    texts[0] += " the" * 900
    found = stop_words(counted(texts), "Latn")
    assert set(functions) == set(found)


def test_too_little_text_for_stop_words_is_refused():
    with pytest.raises(FitError, match="has 3 words: expected at least 5,000"):
        stop_words(counted(["a b c"]), "Latn")
    with pytest.raises(FitError, match="0 words stand in 10%"):
        stop_words(counted(" ".join(f"a{'b' * i}{'c' * j}" for j in range(60)) for i in range(100)), "Latn")


def test_stop_words_of_a_script_of_its_own_are_in_it():
    functions = ["것", "수", "이", "그", "등", "및", "더", "때"]
    texts = [" ".join([*functions, "const", "react", *(f"말{i}번{j}" for j in range(60))]) for i in range(100)]
    assert set(stop_words(counted(texts), "Hang")) == set(functions)


@given(st.text())
def test_the_core_of_a_word_is_its_own_core(word):
    assert core(core(word)) == core(word)


@pytest.mark.parametrize(
    ("text", "script", "own", "unit"),
    [
        ("Bugün hava çok güzel.", "Latn", False, "whitespace"),
        ("오늘은 날씨가 좋다. OK", "Hang", True, "whitespace"),
        ("今日は天気がいいです。", "Jpan", True, "character"),
        ("今天天气很好。", "Hani", True, "character"),
        ("วันนี้อากาศดี", "Thai", True, "character"),
        ("Сегодня хорошая погода.", "Cyrl", True, "whitespace"),
    ],
)
def test_the_script_is_that_of_most_letters(text, script, own, unit):
    assert writing.script(Counter(c for c in text if c.isalpha())) == (script, own)
    assert writing.word_unit(script, segments=False) == unit
    assert writing.word_unit(script, segments=True) == ("segment" if unit == "character" else "whitespace")


def test_a_script_without_a_name_here_is_asked_for():
    with pytest.raises(FitError, match=r"SYRIAC LETTER.*give --script CODE"):
        writing.script(Counter("ܫܠܡܐ"))
    with pytest.raises(FitError, match="holds no letters"):
        writing.script(Counter())


def seen(*lines):
    found = writing.Seen()
    found.add("\n".join(lines))
    return found


def test_terminal_punctuation_is_what_ends_lines():
    assert writing.terminal_punctuation(seen("Bitti.", "Bitti mi?", '"Evet!"', "a,", "b:"), "Latn") == ()
    assert writing.terminal_punctuation(seen("Τι είναι;", "Ναι."), "Grek") == ("!", ".", ";", "?")
    assert writing.terminal_punctuation(seen("ཡིན༎", "རེད༎"), "Tibt") == ("!", ".", "?", "༎")
    assert writing.unpunctuated(seen("สวัสดี", "ขอบคุณ")) and not writing.unpunctuated(seen("a.", "b"))


def test_clause_sides():
    assert Clause("g", "c", "word_count", ">=", 50).side == "least"
    assert Clause("g", "c", "word_count", "<", 50).side == "most"
