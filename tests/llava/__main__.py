"""python -m tests.llava OUTDIR [NAME ...] [--weights]"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.llava import REPOS, add_weights, write_repo

parser = argparse.ArgumentParser(prog="python -m tests.llava")
parser.add_argument("out", type=Path)
parser.add_argument("names", nargs="*")
parser.add_argument("--weights", action="store_true")
args = parser.parse_args()
for name in args.names or REPOS:
    folder = write_repo(REPOS[name], args.out / name)
    if args.weights:
        add_weights(folder)
    print(folder)
