#!python
"""Starts the program of this script's name that the package figment has brought along."""

import importlib.util
import os
import sys

name = os.path.basename(sys.argv[0])
package = importlib.util.find_spec("figment")  # which imports nothing
if package is None or not package.submodule_search_locations:
    sys.exit(f"{name}: the Python package figment is not there")
os.execv(os.path.join(package.submodule_search_locations[0], "bin", name), sys.argv)
