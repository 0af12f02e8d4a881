"""What is true of one item. Boxes are fractions of the picture, x0 y0 x1 y1; times are seconds from the clip's start; pages count from 1."""
import dataclasses
import json


@dataclasses.dataclass
class Evidence:
    """Where an answer is seen: a box of a view over a time, or of a page."""
    box: list
    view: str = ""
    start: float = 0.0
    end: float = 0.0
    page: int = 0
    quote: str = ""


@dataclasses.dataclass
class Question:
    """A question, the answer to write, and what else counts as right. `kind` names the score it enters."""
    kind: str
    text: str
    answer: str
    accepted: list = dataclasses.field(default_factory=list)
    evidence: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Agent:
    """Something that moves or could. `view` is where most of it is seen, `box` there at the last time it is seen."""
    name: str
    color: str
    motion: str
    view: str
    box: list
    start: float
    end: float
    distance_metres: float = 0.0
    speed_metres_per_second: float = 0.0


@dataclasses.dataclass
class Risk:
    """`seconds` to the collision at its nearest, none if nothing collides; `near` if the level hangs on a threshold."""
    level: str
    seconds: float | None
    object: str
    view: str
    box: list
    start: float
    end: float
    reason: str
    advice: str
    near: bool


@dataclasses.dataclass
class Line:
    """A line of text on a page or a picture."""
    text: str
    box: list


@dataclasses.dataclass
class Item:
    """One clip, picture or page. `captions` has lists of equally true texts by kind (short, detailed, background, main object, camera).
    The pictures themselves are beside it: uint8 [views, times, height, width, 3]."""
    task: str
    seed: int
    views: list
    times: list
    captions: dict
    facts: dict
    agents: list = dataclasses.field(default_factory=list)
    risk: Risk | None = None
    questions: list = dataclasses.field(default_factory=list)
    lines: list = dataclasses.field(default_factory=list)
    transcript: str = ""

    def json(self):
        """The record as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


def rounded(box):
    """A box as a list of fractions with three decimals, inside the picture."""
    return [round(min(max(float(x), 0.0), 1.0), 3) for x in box]
