"""Words, labels, checks, seeds, norms, pages and the cache: what the other packages share."""
