"""What an address alone tells of a page: its host, its site, and whether lists of domains and words speak against it.

`address` takes addresses apart and finds the site of a host, `lists` reads lists of every usual format,
`hashes` holds millions of domains in nine bytes each, `words` finds words, `rules` puts it together for many addresses
at once, the work for a host done once.
"""
