"""Contact sheets: pictures of items with what is true of them written below."""
import textwrap

from PIL import Image, ImageDraw, ImageFont

CELL = 224
LINE = 13


def row(pictures, item, most=6):
    """One item as a strip: up to `most` pictures, then its words."""
    views, times = pictures.shape[:2]
    picked = [(0, int(t * (times - 1) / max(min(times, most) - 1, 1))) for t in range(min(times, most))] if views == 1 else \
        [(v, times - 1) for v in range(min(views, most))]
    texts = [f"{item.task} {item.seed}  " + " | ".join(kind + ": " + texts[0] for kind, texts in item.captions.items())]
    if item.risk:
        texts.append(f"risk {item.risk.level} {item.risk.seconds} {item.risk.object} in {item.risk.view} near={item.risk.near}: {item.risk.reason}")
    texts.append(" ".join(f"[{q.kind}] {q.text} {q.answer}." for q in item.questions))
    if item.transcript:
        texts.append("heard: " + item.transcript)
    lines = [line for text in texts for line in textwrap.wrap(text, 215)]
    height = pictures.shape[2] * CELL // pictures.shape[3]
    sheet = Image.new("RGB", (CELL * most, height + LINE * len(lines) + 6), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for column, (view, at) in enumerate(picked):
        sheet.paste(Image.fromarray(pictures[view, at]).resize((CELL, height)), (column * CELL, 0))
        for agent in item.agents:
            if agent.view == item.views[view] and abs(agent.end - item.times[at]) < 1e-6:
                x0, y0, x1, y1 = (v * s for v, s in zip(agent.box, (CELL, height) * 2))
                draw.rectangle((column * CELL + x0, y0, column * CELL + x1, y1), outline=(255, 0, 255))
        draw.text((column * CELL + 3, 2), f"{item.views[view]} {item.times[at]:.2f}", fill="white", font=font, stroke_width=1, stroke_fill="black")
    for i, line in enumerate(lines):
        draw.text((3, height + 3 + i * LINE), line, fill="black", font=font)
    return sheet


def sheet(items, path):
    """Writes the items' strips, one below the other, as PNG."""
    rows = [row(pictures, item) for pictures, item in items]
    whole = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), "white")
    y = 0
    for r in rows:
        whole.paste(r, (0, y))
        y += r.height
    whole.save(path)
