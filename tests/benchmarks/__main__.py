"""Run every bar side by side and print a table.

`python -m tests.benchmarks [--only P1] [--samples N] [--json] [--smoke]`.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from tests.benchmarks.harness import Bar, as_json, measure, smoke, table


def all_bars() -> list[Bar]:
    """Return the bars of every `bench_*.py` of this folder, by key."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    bars = [bar for name in names for bar in import_module(f"tests.benchmarks.{name}").BARS]
    return sorted(bars, key=lambda bar: (int("".join(filter(str.isdigit, bar.key.split(".")[0])) or 0), bar.key))


def main() -> int:
    """Measure what was asked for; exit 1 when a bar does not hold, unless it was only smoked."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Run every bar, print a table.")
    parser.add_argument(
        "--only", action="append", default=[], metavar="KEY", help="bars whose key begins so; repeatable"
    )
    parser.add_argument("--samples", type=int, help="samples of each side instead of each bar's own number")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    parser.add_argument("--smoke", action="store_true", help="run each side once, cold, and judge nothing")
    options = parser.parse_args()
    chosen = [bar for bar in all_bars() if not options.only or bar.key.startswith(tuple(options.only))]
    figures = [smoke(bar) if options.smoke else measure(bar, samples=options.samples) for bar in chosen]
    print(json.dumps(as_json(figures), indent=2) if options.json else table(figures))
    return 0 if options.smoke or all(figure.held for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
