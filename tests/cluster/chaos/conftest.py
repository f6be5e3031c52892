"""Finds the worlds that the tests here take to pieces."""

import sys
from pathlib import Path

# importlib mode leaves sys.path alone.
sys.path.insert(0, str(Path(__file__).parent))
