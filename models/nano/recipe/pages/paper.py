"""A page that remembers every word written on it, and how words become the lines that a reader of pages gives."""
import dataclasses
import functools

from PIL import Image, ImageDraw, ImageFont

from ..truth import rounded

GAP = 1.2   # of the height of letters: words farther apart than this stand in cells of their own


@dataclasses.dataclass
class Cell:
    """Words side by side. `row` counts lines of the page from above; cells of one row stand beside each other."""
    text: str
    box: list
    row: int


@functools.lru_cache(512)
def font(path, size):
    return ImageFont.truetype(str(path), size)


class Paper:
    """Draws on a white page of `size` pixels; `words` are (text, x0, y0, x1, y1) in pixels, in the order of writing."""

    def __init__(self, size, face, ink=(20, 20, 24), color=(255, 255, 255)):
        self.picture = Image.new("RGB", size, color)
        self.draw = ImageDraw.Draw(self.picture)
        self.face, self.ink, self.words = face, ink, []

    def write(self, x, y, text, size, anchor="l", ink=None, face=None, bold=False):
        """Writes a line whose top is y; x is its left end, middle (m) or right end (r). Returns its width."""
        letters = font(face or self.face, size)
        width = letters.getlength(text)
        x -= {"l": 0, "m": width / 2, "r": width}[anchor]
        self.draw.text((x, y), text, font=letters, fill=ink or self.ink, stroke_width=int(bold and size > 15), anchor="la")
        at = 0
        for word in text.split():
            at = text.index(word, at)
            left = x + letters.getlength(text[:at])
            self.words.append((word, left, y + size * .12, left + letters.getlength(word), y + size * 1.12))
            at += len(word)
        return width

    def paragraph(self, x, y, text, size, width):
        """Writes broken lines and returns the y below them."""
        line = ""
        for word in text.split() + [None]:
            longer = f"{line} {word}".strip() if word else line
            if line and (word is None or font(self.face, size).getlength(longer) > width):
                self.write(x, y, line, size)
                y, longer = y + size * 1.45, word or ""
            line = longer
        return y

    def cells(self):
        """All words as cells, read from above, each row from the left."""
        return cells(self.words, self.picture.size)


def cells(words, size):
    """Cells of words (text, x0, y0, x1, y1): a word belongs to the row whose middle it covers; within a row, gaps part cells."""
    rows = []
    for word in sorted(words, key=lambda w: (w[2] + w[4]) / 2):
        middle = (word[2] + word[4]) / 2
        if rows and rows[-1][0][2] < middle < rows[-1][0][4]:
            rows[-1].append(word)
        else:
            rows.append([word])
    found = []
    for number, row in enumerate(rows):
        part = []
        for word in sorted(row, key=lambda w: w[1]):
            if part and word[1] - part[-1][3] > GAP * (part[-1][4] - part[-1][2]):
                found.append(joined(part, size, number))
                part = []
            part.append(word)
        found.append(joined(part, size, number))
    return found


def joined(words, size, row):
    box = (min(w[1] for w in words) / size[0], min(w[2] for w in words) / size[1], max(w[3] for w in words) / size[0],
           max(w[4] for w in words) / size[1])
    return Cell(" ".join(w[0] for w in words), rounded(box), row)


def text_of(cells):
    """The page's text as prompts carry it: a line a row, cells parted by bars."""
    lines = {}
    for cell in cells:
        lines.setdefault(cell.row, []).append(cell.text)
    return "\n".join(" | ".join(parts) for parts in lines.values())


CONFUSED = {"0": "O", "O": "0", "1": "l", "l": "1", "5": "S", "S": "5", "8": "B", "m": "rn", "e": "c", "i": "j", ",": ".", "B": "8"}


def misread(random, cells, share):
    """Cells as a recogniser might give them: a share of the letters confused."""
    return [Cell("".join(CONFUSED.get(c, c) if random.random() < share else c for c in cell.text), cell.box, cell.row) for cell in cells]
