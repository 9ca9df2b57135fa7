pytest_plugins = ["tiny_models"]
