"""Python blocks in README.md and docs/ run as tests (`make docs-test`), each page in a folder."""

import doctest
import os
import shutil
import tempfile
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

_FOLDERS = "_folders_of_page"


def enter_folder(namespace: dict[str, Any]) -> None:
    """Let the blocks of a page write files where nobody minds."""
    namespace[_FOLDERS] = os.getcwd(), tempfile.mkdtemp()
    os.chdir(namespace[_FOLDERS][1])


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back, and remove what a page wrote."""
    home, folder = namespace[_FOLDERS]
    os.chdir(home)
    shutil.rmtree(folder)


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(
            doctest_optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        ),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    setup=enter_folder,
    teardown=leave_folder,
).pytest()
