"""Configuration of Sphinx; `make docs` builds with warnings as errors and without network."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "hifi-gan"), str(Path(__file__).resolve().parent / "_ext")]

project = "gradtts-interp"
author = "gradtts-interp contributors"
project_copyright = "2026, gradtts-interp contributors (MIT)"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.doctest",
    "matplotlib.sphinxext.plot_directive",
    "house",
    "corpus_tables",
    "reliability",
]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_static_path = ["_static"]
html_theme_options = {
    "description": "What does this sentence sound like half-way between two speaking styles?",
    "page_width": "1080px",
    "sidebar_width": "240px",
    "fixed_sidebar": True,
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of a dataclass are listed once, in its own docstring
napoleon_custom_sections = [("Source", "notes_style")]
default_role = "code"
plot_formats = [("png", 110)]
plot_html_show_formats = plot_html_show_source_link = False
# Paths in the examples are those of the repository.
doctest_global_setup = f"import os; os.chdir({str(ROOT)!r})"
