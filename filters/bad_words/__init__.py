"""Bad words: how many a text holds, as a share, and where they are. A signal, not a veto.

Entries come from a language pack and from files in the format of the LDNOOBW lists (`entries.py`), are compiled into one
trie over a normal form (`alphabet.py`, `table.py`) and looked for by a kernel that walks it from every character at
which an entry can begin (`match.py`). The normal form is computed on the way; no copy of the text is made.
"""

from winnow.filters.bad_words.match import counts, spans
from winnow.filters.bad_words.table import BadWords, BadWordsError, read, table

__all__ = ["BadWords", "BadWordsError", "counts", "read", "spans", "table"]
