"""How Sphinx builds the site; `make site` (tools/make_site.py) runs it, in English and in Chinese."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import calando

sys.path.insert(0, str(Path(os.environ["CALANDO_SITE_TOOLS"])))
chinese = os.environ.get("CALANDO_SITE_LANGUAGE") == "zh_CN"

project = "calando"
author = project_copyright = "calando developers"
version = release = calando.__version__
language = "zh_CN" if chinese else "en"
locale_dirs = ["locale"]
gettext_compact = False  # a catalogue a page
gettext_additional_targets: list[str] = []  # code is the same in every language
translation_progress_classes = False

extensions = [
    "myst_nb",  # pages whose code is run
    "sphinx.ext.autodoc",  # reference/python: every public name, from its docstring
    "sphinx.ext.napoleon",  # the fields that its sections become
    "sphinx_copybutton",
    "site_parts",  # docstrings as we write them, a search that takes Chinese words apart
]
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["LOG.md", "locale", "_static"]
napoleon_google_docstring = napoleon_numpy_docstring = False  # site_parts hands it docstrings
default_role = "code"  # docstrings write `name`
html_theme = "furo"
html_title = "calando"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"sidebar_hide_name": False, "top_of_page_buttons": []}
html_search_language = "zh" if chinese else "en"
pygments_style = "tango"

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3  # links to a heading, as in the README
nb_execution_mode = os.environ.get("CALANDO_SITE_RUN", "cache")  # "off" where only texts are gathered
nb_execution_cache_path = os.environ.get("CALANDO_SITE_CACHE", "")
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True  # which names the line; of an answer, the line of the page
nb_output_stderr = "remove"  # progress
nb_merge_streams = True
autodoc_typehints = "description"  # a signature of thirty types fills a phone
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
smartquotes_excludes = {"languages": ["ja"], "builders": ["man", "text"]}
smartquotes_action = "D" if chinese else "qDe"  # a dash behind a parameter; Chinese quotes are written as they are
suppress_warnings = ["mystnb.unknown_mime_type", "myst-nb.lexer"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/language.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
