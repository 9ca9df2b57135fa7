from hypothesis import HealthCheck, settings

pytest_plugins = ["keyword_task", "language_server", "tiny_llms", "tiny_models"]

# The same examples in every run, however slow the machine is.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
