"""Personal data in texts: one kind a file, each a pure function from a stretch of text to what it found.

`screen` reads a whole column of UTF-8 and names the few stretches that can hold anything; `search` decodes those alone,
folds them (full-width digits, every sort of dash) and asks the kinds whose candidates they hold; `priority` resolves
overlaps; `masks` says what to write instead. Nothing is looked at twice, and a text without candidates never becomes a
Python object.

What every kind keeps to:

- Attached particles do not hide a value (`010-2345-6789로`), and neither do full-width characters.
- A value that a standard reserves for documentation (example.com, 192.0.2.0/24), that is published as a test value, or
  whose digits are all zero is nobody's, and left. The fixed placeholders are such values.
- Where the shape alone is no proof, a check digit is asked for, else a word (`계좌`, `passport`) within a stated distance.
"""
