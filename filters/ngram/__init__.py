"""Character n-gram language models and hashed word n-grams, over arrays of symbols: exact, no files, no network."""
