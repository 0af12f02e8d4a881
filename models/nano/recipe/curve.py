"""What was lost over the steps of a training, as a figure. Needs matplotlib."""
import json
import lzma

WINDOW = 15     # micro-batches a point


def series(path):
    """{(task, views): [(step, answer loss, pointer loss or None)]} of a losses.jsonl, packed (.xz) or not."""
    found = {}
    with (lzma.open(path, "rt") if path.suffix == ".xz" else open(path)) as file:
        for line in map(json.loads, file):
            for each in line["micro"]:
                found.setdefault((each["task"], each["views"]), []).append((line["step"], each["answer"], each.get("pointer")))
    return found


def means(rows, column):
    """[(mean step, mean value)] of each WINDOW rows that have the value."""
    rows = [(row[0], row[column]) for row in rows if row[column] is not None]
    return [[sum(x) / len(x) for x in zip(*rows[i:i + WINDOW])] for i in range(0, len(rows), WINDOW)]


def draw(losses, out):
    """Writes both panels as SVG: nats a token of the answers, and of the pointer."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "nano", "font.size": 9})
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for number, ((task, views), rows) in enumerate(sorted(series(losses).items())):
        for column, (panel, title) in enumerate(zip(panels, ("answers: nats a token", "evidence: nats a target")), 1):
            points = means(rows, column)
            if points:
                panel.plot(*zip(*points), f"C{number}", linewidth=1.2, label=task + (f", {views} views" if views > 1 else ""))
            panel.set(title=title, xlabel="step", yscale="log")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(out, metadata={"Date": None})
