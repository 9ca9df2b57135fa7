"""skcap."""
