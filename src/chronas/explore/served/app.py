"""The page's script: streamlit runs it from top to bottom after each change, with the arguments of `serve`.

It is alone in a folder that is no package: streamlit puts the folder first on the path, where it can shadow modules.
"""

from __future__ import annotations

import sys

from chronas.explore import load_catalogue
from chronas.explore.page import show
from chronas.explore.server import read_arguments

show(load_catalogue(*read_arguments(sys.argv[1:])))
