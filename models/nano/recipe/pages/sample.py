"""One page of a seed: its picture, what is written on it with boxes, questions with short answers and the box of the evidence."""
import numpy as np
from PIL import Image, ImageFilter

from .. import seeds
from ..seeds import choose
from ..truth import Evidence, Item, Line, Question
from .kinds import ABSENT, KINDS, NOT_FOUND
from .paper import misread

SIDE = 448          # a page is squeezed to a square of this side
QUESTIONS = 4
PROMPTS = {"short": ("Describe what is shown in one sentence.", "What is this?"), "detailed": ("Describe the page in detail.",)}


def page(seed, assets):
    """The page in full size as a clean picture, and its Item. Half of the pages are read with errors, as a recogniser makes them."""
    random = seeds.generator(seed, "pages")
    kind = choose(random, tuple(KINDS))
    face = choose(random, assets.font_files)
    paper, summary, asked = KINDS[kind](random, face, choose(random, assets.font_files) if random.random() < .3 else face)
    cells = paper.cells()
    order = random.permutation(len(asked))[:QUESTIONS]
    made = [question(*asked[i], kind, cells) for i in order]
    if random.random() < .4:
        made[-1] = Question("absent", choose(random, ABSENT), NOT_FOUND)
    read = misread(random, cells, .02) if random.random() < .5 else cells
    captions = {"short": [f"This is {summary}.", f"The page shows {summary}."],
                "detailed": [f"This is {summary}. It says: " + "; ".join(cell.text for cell in cells[:6]) + "."]}
    item = Item("pages", seed, ["page"], [0.0], captions, {"kind": kind, "rows": [cell.row for cell in read]},
                questions=made, lines=[Line(cell.text, cell.box) for cell in read])
    return paper.picture, item


def question(text, answer, shown, kind, cells):
    """A Question whose evidence is the smallest cell that holds `shown`; none if nothing is shown literally."""
    holding = [cell for cell in cells if shown and shown in cell.text]
    holding = [cell for cell in holding if cell.text == shown] or holding
    evidence = [Evidence(cell.box, page=1, quote=cell.text) for cell in holding[:1]]
    return Question(kind, text, answer, [], evidence)


def aged(random, picture):
    """As a scanner or a camera leaves it: grey, blurred a little, noisy. Half of the pages stay clean."""
    if random.random() < .5:
        return np.asarray(picture)
    values = np.asarray(picture.filter(ImageFilter.BoxBlur(random.uniform(.1, .5))), np.float32)
    values = values * random.uniform(.82, 1) + random.normal(0, random.uniform(1, 6), values.shape[:2])[..., None]
    return np.clip(values, 0, 255).astype(np.uint8)


def sample(seed, assets):
    """Pictures uint8 [1, 1, 448, 448, 3] and the Item."""
    picture, item = page(seed, assets)
    return aged(seeds.generator(seed, "ageing"), picture.resize((SIDE, SIDE), Image.BOX))[None, None], item
