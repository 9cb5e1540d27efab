"""python -m tests.twins OUT [NAME ...] [--weights] [--smoke]"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.twins import NATIVES, TWINS, add_weights, write_repo

parser = argparse.ArgumentParser(prog="python -m tests.twins")
parser.add_argument("out", type=Path)
parser.add_argument("names", nargs="*", help="repos; a family's name stands for all of its repos")
parser.add_argument("--weights", action="store_true")
parser.add_argument("--smoke", action="store_true", help="compare with the native classes (needs weights)")
args = parser.parse_args()
every = (*TWINS.values(), *NATIVES.values())
wanted = [t for t in every if not args.names or {t.name, t.family.name} & set(args.names)]
for twin in wanted:
    folder = write_repo(twin, args.out / twin.name)
    if args.weights:
        add_weights(folder)
    print(folder, flush=True)
if args.smoke:
    command = [sys.executable, "-m", "tests.twins.smoke", str(args.out), *(twin.name for twin in wanted)]
    sys.exit(subprocess.run(command, check=False).returncode)
