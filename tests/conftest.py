"""Puts the repository's root, where the flat scripts are, on the path of every test."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = str(ROOT)  # for the programs that tests start
os.environ["HF_HUB_OFFLINE"] = "1"  # no test needs a network, and none may wait for one
