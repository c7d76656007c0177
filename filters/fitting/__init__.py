"""What a language pack is derived from: pure functions from measured columns and counts to thresholds and word lists.

FineWeb2 (arXiv:2506.20920; its repository, huggingface/fineweb-2, holds the resulting `configs/*.yml` and no code that
computes them) takes English thresholds to other languages by their place in the distributions of reference text and of
crawl. Here, per clause of a base pack:

1. *Candidate.* With reference texts of the base language: the value of the new reference that lies at the same quantile
   as the base's threshold does in its own (`clauses.matched`). Without: the value that `tail` of the new reference
   lies beyond (`clauses.tail`).
2. *Refusal.* A measure that is the same in all reference texts, or a candidate that means nothing (a share outside 0 to
   1, a mean word length over 50), fits nothing: the base's value stands, and the pack says why.
3. *Bounds.* Loosened until it drops at most `most_reference` of the reference and `most_crawl` of the crawl; to the
   base's value where it drops no more of the crawl than of the reference, because it then tells nothing apart, where the
   measure grows with a document's length. Of a reference of joined sentences, only what holds of any sentence is
   fitted (`clauses.LAYOUT` is the rest), and to nothing tighter than the base's value: sentences hold no tables, names
   and dates, and vary less once joined. Where thresholds go from one word unit to another, to what drops no more of the
   crawl than the base's value drops of it in the base's unit. Then clamped
   to what thresholds of that measure can sensibly be, then rounded to the looser side.
4. What then still drops more than `most_reference` of the reference, as a value of the base may, is left out, and the
   pack says so.

The other parts: script, word unit, terminal punctuation, the cut-off of the language-ID score and stop words (`writing`), the
file (`pack_file`).
"""

from __future__ import annotations


class FitError(ValueError):
    """Texts from which no sound pack can be derived: one sentence with what was found, what was expected, what to do."""
