"""python -m tests.variants OUTDIR [NAME ...] [--weights] [--list]"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.variants import Variant, variant, variants


def chosen(names: Sequence[str]) -> list[Variant]:
    try:
        return [variant(name) for name in names] or variants()
    except KeyError as error:
        raise SystemExit(f"no such variant: {error.args[0]}") from error


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.variants", description="Write the variants as repo folders.")
    parser.add_argument("out", type=Path, help="each variant goes into OUT/NAME")
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--weights", action="store_true", help="also draw model.safetensors (torch, transformers)")
    parser.add_argument("--list", action="store_true", help="print names and axes, write nothing")
    args = parser.parse_args(argv)
    for one in chosen(args.names):
        if args.list:
            print(f"{one.name}: {'; '.join(one.axes)}")
            continue
        folder = one.build(args.out / one.name)
        if args.weights:
            from tests.variants.weights import write_weights

            write_weights(one, folder)
        print(folder)


if __name__ == "__main__":
    main()
