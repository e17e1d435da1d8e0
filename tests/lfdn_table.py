"""Medians and ratios of what tests/bench_lfdn.sh measured: lines of size, round, program, JSON, between tabs."""
import json
import statistics
import sys

found = {}
for line in open(sys.argv[1]):
    size, round_, program, text = line.rstrip("\n").split("\t")
    found.setdefault(size, {}).setdefault(program, {})[round_] = json.loads(text)
KEYS = {"training": "train_features_per_s", "scoring": "score_features_per_s"}
for size, programs in found.items():
    print(f"{size.replace(',', ' / ')}, features/s: median of {len(next(iter(programs.values())))} rounds (least to most)")
    for program, rounds in programs.items():
        parts = []
        for name, key in KEYS.items():
            rates = [figures[key] for figures in rounds.values()]
            parts.append(f"{name} {statistics.median(rates):8.1f} ({min(rates):.1f} to {max(rates):.1f})")
        print(f"  {program:12} " + "   ".join(parts))
    for program in [name for name in programs if name.startswith("oodlab")]:
        for name, key in KEYS.items():
            peers = [peer for peer in programs if not peer.startswith("oodlab")]
            ratios = [rounds[key] / max(programs[peer][at][key] for peer in peers) for at, rounds in programs[program].items()]
            print(
                f"  {program} against each round's better peer, {name}: {statistics.median(ratios):.2f} x"
                f" ({min(ratios):.2f} to {max(ratios):.2f})"
            )
