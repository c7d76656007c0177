"""Near-duplicates, in the order in which it happens:

- `minhash`   what is compared: a text's shingles as band keys. Two similar texts share one.
- `clusters`  rows that share a key are joined, and one of each cluster stays.
- `index`     clusters that an earlier run's documents are in: those stay, and nothing of the cluster does.

`stages/minhash.py` carries the columns from one to the next; `stages/duplicate_index.py` has the index's files.
"""
