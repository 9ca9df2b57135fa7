"""How well the audit finds planted marks."""
