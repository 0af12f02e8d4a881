"""Draws what `longview bench compress` prints: how far answers move, against what they cost.

plot_compression.py LINES.jsonl OUT writes OUT.png and OUT.svg: one curve a method, a point a share of tokens kept. Needs
matplotlib: Debian's python3-matplotlib, or `pip install matplotlib` in any venv.
"""
import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EVERYTHING = "keep_all"
COSTS = [("ttft_ms", "time to first token, ms", 1), ("kv_bytes", "keys and values of the prompt, MB", 1e-6)]
QUALITIES = [("kl", "KL divergence from the answer\nto all tokens, nats a token"),
             ("top1", "same most probable token,\nshare of the answer's")]
MARKS = "osD^vP*Xh<>"


def curves(lines):
    """Method -> its points, most tokens first; all of them are where each begins."""
    found = defaultdict(list)
    for line in lines:
        found[line["method"]].append(line)
    for method, points in found.items():
        points.sort(key=lambda p: -p["keep"])
        if points[0]["keep"] < 1:
            points.insert(0, found[EVERYTHING][0])
    return found


def draw(axes, methods, cost, scale, quality):
    colours = plt.get_cmap("tab10")
    for i, (method, points) in enumerate(methods.items()):
        x, y = [p[cost] * scale for p in points], [p[quality] for p in points]
        if method == EVERYTHING:
            axes.plot(x, y, "*", color="black", markersize=13, label="all tokens", zorder=3)
        else:
            axes.plot(x, y, "-", marker=MARKS[i % len(MARKS)], color=colours(i % 10), markersize=5, linewidth=1.2,
                      alpha=0.85, label=method)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def main():
    source, out = sys.argv[1:]
    lines = [json.loads(line) for line in Path(source).read_text().splitlines() if line.strip()]
    methods = curves(lines)
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "longview", "svg.fonttype": "none"})
    figure, grid = plt.subplots(2, 2, figsize=(9.5, 6.6), sharex="col", sharey="row")
    for row, (quality, label) in zip(grid, QUALITIES):
        row[0].set_ylabel(label)
        for axes, (cost, _, scale) in zip(row, COSTS):
            draw(axes, methods, cost, scale, quality)
    for axes, (_, label, _) in zip(grid[-1], COSTS):
        axes.set_xlabel(label)
    first = lines[0]
    shares = ", ".join(f"{keep:g}" for keep in sorted({line["keep"] for line in lines}, reverse=True))
    figure.suptitle(f"{first['model']}, {first['frames']} frames, {first['tokens_in']} visual tokens; "
                    f"kept: {shares}, from right to left", fontsize=10)
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="center right", frameon=False)
    figure.tight_layout(rect=(0, 0, 0.87, 1))
    figure.savefig(f"{out}.png", dpi=100, pil_kwargs={"optimize": True})
    figure.savefig(f"{out}.svg", metadata={"Date": None})


main()
