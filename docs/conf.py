"""Sphinx: how the documentation becomes a site (`make docs`).

Pages are Markdown (MyST) and read well on GitHub, too. What the code knows better is put into them while they are read:
`docs/generate/`.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

from docs.generate import sources

# Pages run `wattmesh`, whose tables are as wide as a page is.
os.environ |= {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "COLUMNS": "80",
}

project = "wattmesh"
author = "the wattmesh authors"
version = release = installed("wattmesh")

extensions = ["myst_nb", "sphinxcontrib.mermaid"]
exclude_patterns = ["generate"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
mermaid_fullscreen = False
mermaid_height = "auto"
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300

html_theme = "pydata_sphinx_theme"
html_title = f"wattmesh {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": sources.REPOSITORY,
    "logo": {"text": "wattmesh"},
    "navbar_align": "left",
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
copyright = "the wattmesh authors, Apache-2.0"

# Written in examples, or reached by a signed-in browser only.
linkcheck_ignore = [r"http://localhost", r"http://127\.0\.0\.1", re.escape(sources.REPOSITORY) + r"/security"]
linkcheck_timeout = 20


def setup(app: Sphinx) -> None:
    """Put into pages what comes from elsewhere."""
    app.connect("source-read", sources.complete)
