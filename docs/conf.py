"""Sphinx configuration: `make docs` builds the site without network; warnings are errors."""

from __future__ import annotations

import os
import re
from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Any

import matplotlib

matplotlib.use("Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # gallery examples use installed models
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

project = "skcap"
author = "The skcap developers"
copyright = "the skcap developers"
version = release = installed_version("skcap")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]

# -- pages ----------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

smartquotes = False

# -- API ------------------------------------------------------------------------------------------

autosummary_generate = True
autosummary_ignore_module_all = False  # what is public is what __all__ names
autosummary_imported_members = True
autodoc_typehints = "none"  # numpydoc's parameter lists say it in words
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
toc_object_entries_show_parents = "hide"

# -- gallery --------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "image_scrapers": ("matplotlib",),
    "backreferences_dir": None,
    "reset_modules": ("matplotlib",),
}

# -- look -----------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skcap"
html_static_path = ["_static"]
html_css_files = ["skcap.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "navigation_depth": 2,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"gallery/**": [], "names": []}
pygments_style = "default"


def _find_public(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Link ``skcap.Name`` to the page of the package that Name is documented in."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("skcap."):
        return None
    head, _, name = target.partition(".")
    try:
        owner = import_module(head)._MODULE_OF.get(name.split(".")[0])
    except ImportError:
        return None
    if owner is None:
        return None
    domain = env.domains["py"]
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], f"{owner}.{name}", node, contnode
    )


def _name_sources(app: Any, docname: str, source: list[str]) -> None:
    """Name the files beside docs/ that pages link to, since the site does not hold them."""
    source[0] = re.sub(r"\[[^\]]+\]\(\.\./([\w./-]+)(#[\w-]+)?\)", r"`\1`", source[0])


def setup(app: Any) -> None:
    """Register what this project adds to Sphinx."""
    app.connect("missing-reference", _find_public)
    app.connect("source-read", _name_sources)
