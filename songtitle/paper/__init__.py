"""What became of what the paper says: every claim held against the published records."""
