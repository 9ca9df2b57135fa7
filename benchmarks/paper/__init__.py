"""The paper's tables, a run at a time: see README.md."""
