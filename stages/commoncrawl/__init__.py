"""Common Crawl: what a snapshot holds, which of it is wanted, and how to fetch it politely."""
