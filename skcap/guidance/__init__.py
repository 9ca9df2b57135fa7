"""What a prior teaches a classifier."""
