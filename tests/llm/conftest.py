from tiny_llms import tiny_llm

__all__ = ["tiny_llm"]
