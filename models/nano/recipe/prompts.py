"""An item as a conversation: what stands behind the visual tokens in the first message, the questions, the answers."""
import dataclasses
import functools
import re

from . import photos, speech
from .driving import words
from .pages import sample as pages
from .seeds import choose

CAPTION_PROMPTS = {"driving": words.CAPTION_PROMPTS, "photos": photos.PROMPTS, "naming": photos.PROMPTS, "pages": pages.PROMPTS}
END = "<|im_end|>"
ANSWER = f"{END}\n<|im_start|>assistant\n"
NEXT = "\n<|im_start|>user\n"
FACT = 4.0      # how much more a token counts that tells what is seen than one that holds the sentence together


@dataclasses.dataclass
class Turn:
    """A question and its answer; `kind` is a question's, a caption's ("caption short") or "assess"."""
    kind: str
    question: str
    answer: str
    accepted: list = dataclasses.field(default_factory=list)
    evidence: list = dataclasses.field(default_factory=list)


def turns_of(item, random):
    """All that an item can be asked, captions first; `random` picks the wording."""
    turns = [Turn("caption " + kind, choose(random, CAPTION_PROMPTS[item.task][kind]), choose(random, texts), texts)
             for kind, texts in item.captions.items()]
    if item.risk:
        turns.append(Turn("assess", choose(random, words.ASSESS), words.assessment(item.risk), [], item.questions[0].evidence))
    if item.transcript:
        turns.append(Turn("speech", choose(random, speech.QUESTIONS), item.transcript))
    return turns + [Turn(q.kind, q.text, q.answer, q.accepted, q.evidence) for q in item.questions]


def written(item):
    """(the text of a page as it stands in the prompt, where each of its lines is there: (from, to))."""
    text, spans, rows = "", [], item.facts.get("rows", range(len(item.lines)))
    before = None
    for line, row in zip(item.lines, rows):
        text += "" if before is None else " | " if row == before else "\n"
        spans.append((len(text), len(text) + len(line.text)))
        text, before = text + line.text, row
    return text, spans


def seen(names):
    """The line of the classifier's names."""
    return f"\nSeen: {', '.join(names)}." if names else ""


def context(item, names):
    """(what is told of a clip or page behind its tokens, spans of its lines). `names` are the classifier's."""
    text = seen(names)
    if item.transcript:
        text += f'\nSaid: "{item.transcript}"'
    spans = []
    if item.lines:
        page, places = written(item)
        text += "\nWritten:\n"
        spans = [(a + len(text), b + len(text)) for a, b in places]
        text += page
    return text, spans


@functools.lru_cache(4096)
def phrases(*told):
    return re.compile(r"\b(?:" + "|".join(re.escape(x) for x in sorted(told, key=len, reverse=True)) + r")\b|\d[\d.]*")


def facts_of(item):
    """A pattern of what in an answer tells what is seen; None for pages, where all of it is read."""
    if item.task == "driving":
        return phrases(*words.SEEN)
    if item.task == "pages":
        return None
    return phrases("left", "right", *(agent.name for agent in item.agents), *(text for texts in photos.MOTIONS.values() for text in texts))


@dataclasses.dataclass
class Script:
    """Token ids behind the visual tokens. `labelled` are places of ids to be learnt, `weights` how much each counts; `answers` (from, to) places of each
    answer without its end mark; `lines` places of each written line."""
    ids: list
    labelled: list
    weights: list
    answers: list
    lines: list


def nameless(tokenizer, item, turns):
    """The conversation of an item without the classifier's names; the last answer may be empty, to be continued."""
    told, spans = context(item, [])
    first = tokenizer.encode(told + "\n" + turns[0].question + ANSWER)
    made = Script(list(first.ids), [], [], [], [])
    telling = facts_of(item)
    for start, end in spans:
        inside = [i for i, (a, b) in enumerate(first.offsets) if b > start and a < end]
        made.lines.append((inside[0], inside[-1] + 1) if inside else (0, 0))
    for i, turn in enumerate(turns):
        if i:
            made.ids += tokenizer.encode(NEXT + turn.question + ANSWER).ids
        if turn.answer:
            answer = tokenizer.encode(turn.answer + END)
            places = [match.span() for match in telling.finditer(turn.answer)] if telling else []
            made.answers.append((len(made.ids), len(made.ids) + len(answer.ids) - 1))
            made.labelled += range(len(made.ids), len(made.ids) + len(answer.ids))
            made.weights += [FACT if any(b > start and a < end for start, end in places) else 1.0 for a, b in answer.offsets]
            made.ids += answer.ids
    return made


def named(tokenizer, names, script):
    """A script of nameless() with the names before it. The line break behind them is a token of its own, so that nothing else changes."""
    first = tokenizer.encode(seen(names)).ids
    n = len(first)
    return Script(first + script.ids, [i + n for i in script.labelled], script.weights, [(a + n, b + n) for a, b in script.answers],
                  [(a + n, b + n) for a, b in script.lines])


def script(tokenizer, item, names, turns):
    """The conversation of an item; the last answer may be empty, to be continued."""
    return named(tokenizer, names, nameless(tokenizer, item, turns))
