"""Draws the figures of the benchmark: ``python -m dev.bench.plot figures.json plot.png``.

It has its own environment, that of the peers.
"""

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Bar = dict[str, Any]
"""``name``, ``value``, its range in the rounds from ``low`` to ``high``, and whether it is ``ours``."""


def draw(panels: dict[str, list[Bar]], path: Path) -> None:
    """Draw one panel for each list of bars, and write the image."""
    heights = [len(bars) for bars in panels.values()]
    figure = Figure(figsize=(9, 1.6 + 0.36 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for (title, bars), panel in zip(panels.items(), axes, strict=True):
        values = [bar["value"] for bar in bars]
        ranges = [
            [bar["value"] - bar["low"] for bar in bars],
            [bar["high"] - bar["value"] for bar in bars],
        ]
        colors = ["tab:blue" if bar["ours"] else "tab:gray" for bar in bars]
        drawn = panel.barh([bar["name"] for bar in bars], values, xerr=ranges, color=colors, capsize=3)
        panel.bar_label(drawn, labels=[f"{value:.2f}" for value in values], padding=4, fontsize=8)
        panel.invert_yaxis()
        panel.set_title(title, loc="left", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0.12)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
