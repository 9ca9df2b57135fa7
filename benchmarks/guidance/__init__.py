"""What the guidances leave open, measured."""
