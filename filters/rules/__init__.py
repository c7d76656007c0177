"""Rules over text: the words of a document cut once, and every measure that reads them, a group of measures to a file.

`table` puts the groups together and measures columns of texts; `measure` says what a measure and a group are.
"""
