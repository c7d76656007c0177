"""FineWeb2's Korean filters (kor_Hang), by datatrove's own code with the thresholds that FineWeb2 publishes.

One filter, because each of the three would split a text into Kiwi's morphemes anew, which is nearly all of the cost.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as gopher
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.utils.text import split_into_words

LANGUAGE = "kor_Hang"
STOP_WORDS = "의 다 이 는 에 을 한 년 하 은 를 했 고 에서 가 있 으로 인 월 로 되".split()

_once = lru_cache(4)(split_into_words)


class FineWeb2Korean(BaseFilter):
    """Repetition, then FineWeb's line rules, then Gopher's, as FineWeb2 orders them."""

    name = "FineWeb2 Korean"

    def __init__(self) -> None:
        super().__init__()
        for module in (fineweb, gopher, repetition):
            module.split_into_words = _once
        self.filters: tuple[Any, ...] = (
            repetition.GopherRepetitionFilter(
                language=LANGUAGE,
                dup_line_frac=0.374,
                dup_para_frac=None,
                dup_line_char_frac=None,
                dup_para_char_frac=None,
                top_n_grams=((2, 0.282), (3, 0.228), (4, 0.185)),
                dup_n_grams=((5, 0.201), (6, 0.184), (7, 0.168), (8, 0.154), (9, 0.14), (10, 0.127)),
            ),
            fineweb.FineWebQualityFilter(
                language=LANGUAGE,
                line_punct_thr=0.062,
                short_line_thr=999,
                char_duplicates_ratio=0.1,
                new_line_ratio=0.196,
            ),
            gopher.GopherQualityFilter(
                language=LANGUAGE,
                min_avg_word_length=1,
                max_avg_word_length=6,
                max_non_alpha_words_ratio=0.791,
                min_stop_words=2,
                stop_words=STOP_WORDS,
            ),
        )

    def filter(self, doc: Document) -> Any:
        """As datatrove's pipeline would: the first filter that refuses gives the reason."""
        for each in self.filters:
            answer = each.filter(doc)
            if answer is not True:
                return answer
        return True
