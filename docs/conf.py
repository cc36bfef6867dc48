"""Sphinx configuration."""

project = "offhook"
copyright = "The offhook developers"
extensions = ["myst_parser", "sphinx_design"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "offhook"
nitpicky = True
