"""The demo: one complete call through the real gateway, on this machine, without keys and without network."""
