"""The first held-out items with what was said and what is true, as a part of a page."""
from PIL import Image

from .exam import PARTS
from .items import made
from .scores import correct

BEGIN, END = "<!-- examples -->", "<!-- end of examples -->"
SHOWN = 3               # questions of each item: caption, assessment, and so on, as they come
KEEP = 1.0
SIDE, QUALITY = 224, 60
LIMIT_BYTES = 15_000    # of a picture


def frame(pictures, path):
    """Writes the last picture of the first view as WebP. Throws ValueError beyond LIMIT_BYTES."""
    picture = Image.fromarray(pictures[0, -1])
    picture.thumbnail((SIDE * 2, SIDE * 2))
    picture.save(path, quality=QUALITY)
    if path.stat().st_size > LIMIT_BYTES:
        raise ValueError(f"{path}: expected at most {LIMIT_BYTES} bytes, got {path.stat().st_size}")


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def part(assets, number, lines, folder):
    """One item: its picture, unless it shows a photograph (their licence is not this repository's), and its first questions."""
    first = lines[0]
    task, seed = first["task"], int(first["id"].split("/")[1])
    pictures, item, _ = made(task, seed, first["views"], assets, first["held_out"])
    things = ", ".join(agent.name for agent in item.agents)
    told = [f"**{number}. {task} {seed}**" + (", of a name never trained on" if first["held_out"] else "")]
    if task == "photos":
        told.append(f"Shows: {things} (`python -m recipe preview photos --seed {seed} --items 1" + (" --held-out`)" if first["held_out"] else "`)"))
    else:
        path = folder / f"{task}-{seed}.webp"
        folder.mkdir(exist_ok=True)
        frame(pictures, path)
        told.append(f"![{task} {seed}]({folder.name}/{path.name})")
    rows = ["| question | answer | truth |", "|---|---|---|"]
    rows += [f"| {cell(line['question'])} | {cell(line['text'])} | {cell(line['answer'])} |" for line in lines[:SHOWN]]
    return "\n\n".join(told + ["\n".join(rows)])


def write(assets, lines, page, seed, items):
    """Replaces what `page` has between BEGIN and END by the first `items` items from `seed` on, in the order of `predict`; their pictures go into a folder
    of the page's name. Says how many of the answers shown are right. Throws ValueError where a mark or an item is absent."""
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page}: expected {BEGIN} and {END}, got a page without")
    wanted = [(task, held_out, f"{task}/{seed + i}") for i in range(-(-items // len(PARTS))) for task, held_out in PARTS][:items]
    found = {}
    for line in lines:
        if line["keep"] == KEEP and line["views"] == 1:
            found.setdefault((line["task"], line["held_out"], line["id"]), []).append(line)
    absent = [each[2] for each in wanted if each not in found]
    if absent:
        raise ValueError(f"predictions: expected answers of one view at keep {KEEP:g} about {absent}, got none")
    made = [part(assets, n + 1, found[each], page.with_suffix("")) for n, each in enumerate(wanted)]
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(before + BEGIN + "\n" + "\n\n".join(made) + "\n" + END + after, "utf-8")
    shown = [line for each in wanted for line in found[each][:SHOWN]]
    return f"{sum(map(correct, shown))} of {len(shown)} answers shown are word for word or accepted"
