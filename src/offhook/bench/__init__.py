"""Puts a gateway under load and under faults, and measures what callers notice of it.

`chaos` is a run: `line` makes the calls of one telephone line, `talk` is what its caller does, `network` lies between
all of them and the gateway, `faults` is what happens, by the `schedule`, and `hearing` finds out what was heard.
"""
