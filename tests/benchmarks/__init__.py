"""Speed as ratios: ours beside its floor or peer, interleaved in one run. `python -m tests.benchmarks`."""
