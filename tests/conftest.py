"""One suite, one result: Hypothesis repeats the same examples. `--hypothesis-profile explore` looks for new ones."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore")
settings.load_profile("repeatable")
