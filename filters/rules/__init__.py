"""Rules over text: the words of a document cut once, and every measure that reads them, one idea to a file.

`words` cuts, `columns` measures a column of texts, `measures` is the table of all signals, `spans` shows what a value comes from.
A kernel (`*_kernel`) is the compiled loop of the file that it is named after.
"""
