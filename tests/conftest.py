pytest_plugins = ["tiny_llms", "tiny_models"]
