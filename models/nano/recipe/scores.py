"""Scores of predictions as JSON lines, which hold what was true: no model is needed, nor what it takes to run one."""
import json

from . import metrics
from .driving import words
from .driving.risk import LEVELS


def by_item(lines):
    """Lines in groups, one an item, so that resampling draws items and not questions."""
    groups = {}
    for line in lines:
        groups.setdefault(line["id"], []).append(line)
    return list(groups.values())


def rate(groups, right):
    """The mean of right(line) over all lines, drawn by items."""
    return metrics.bootstrap([[right(line) for line in group] for group in groups], lambda drawn: metrics.mean(x for group in drawn for x in group))


def correct(line):
    return metrics.same(line["text"], [line["answer"], *line["accepted"]])


def level_f1(groups):
    """Macro-F1 of the levels; an answer that does not parse is wrong."""
    pairs = [[(words.read_assessment(line["text"])["level"], line["risk"]["level"]) for line in group] for group in groups]
    return metrics.bootstrap(pairs, lambda drawn: metrics.macro_f1([pair for group in drawn for pair in group], LEVELS))


def told_object(line):
    """Whether the assessment names the class of what endangers, and nothing where nothing does."""
    said, true = words.read_assessment(line["text"])["object"], line["risk"]["object"]
    return metrics.any_word(said, "none") if not true else said.split(" in ")[0].split(" ")[-1:] == true.split(" in ")[0].split(" ")[-1:]


def facts(groups, which):
    """Recall (which = 0) or precision (1) of what captions claim."""
    told = [[(words.facts_in(line["text"]), set(map(tuple, line["true"])), set(map(tuple, line["needed"]))) for line in group] for group in groups]
    return metrics.bootstrap(told, lambda drawn: metrics.recall_and_precision([each for group in drawn for each in group])[which])


def caption_scores(lines):
    """CIDEr-D of each caption line against all its wordings; document frequencies are of all captions scored."""
    return metrics.cider([line["text"] for line in lines], [line["accepted"] for line in lines])


def scores(lines):
    """{name: {"value", "low", "high", "n"}} of the lines of one keep ratio."""
    def part(task, *kinds, held_out=False, only=lambda line: True):
        return by_item(line for line in lines if line["task"] == task and line["held_out"] == held_out and (not kinds or line["kind"] in kinds)
                       and only(line))

    assess = part("driving", "assess")
    clear = part("driving", "assess", only=lambda line: not line["risk"]["near"])
    endangered = part("driving", "assess", only=lambda line: line["risk"]["object"])
    captioned = [line for line in lines if line["kind"].startswith("caption")]
    cider = by_item([{"id": line["id"], "score": score} for line, score in zip(captioned, caption_scores(captioned))])
    told = part("driving", "caption detailed")
    boxed = part("pages", only=lambda line: line["evidence"])
    answered = part("pages", *(kind for kind in {line["kind"] for line in lines if line["task"] == "pages"} if not kind.startswith("caption")))
    viewed = part("driving", "assess", only=lambda line: line["risk"]["object"] and line["views"] > 1)
    spoken = by_item(line for line in lines if line["kind"] == "speech")
    return {
        "driving.risk_macro_f1": level_f1(clear),
        "driving.risk_macro_f1_with_near": level_f1(assess),
        "driving.risk_parsed": rate(assess, lambda line: words.read_assessment(line["text"])["level"] != "unknown"),
        "driving.object_accuracy": rate(assess, told_object),
        "driving.view_accuracy": rate(viewed, lambda line: words.read_assessment(line["text"])["view"] == line["risk"]["view"]),
        "driving.evidence_iou": rate(endangered, lambda line: metrics.box_iou(line["box"], line["risk"]["box"])),
        "driving.question_accuracy": rate(part("driving", *words.QUESTIONS), correct),
        "driving.fact_recall": facts(told, 0),
        "driving.fact_precision": facts(told, 1),
        "photos.name_accuracy": rate(part("photos", "name"), correct),
        "photos.heldout_name_accuracy": rate(part("photos", "name", held_out=True), lambda line: metrics.any_word(line["text"], line["answer"])),
        "photos.motion_accuracy": rate(part("photos", "motion"), correct),
        "documents.anls": rate(answered, lambda line: metrics.anls(line["text"], [line["answer"]])),
        "documents.box_iou": rate(boxed, lambda line: metrics.box_iou(line["box"], line["evidence"][0]["box"]) >= .5),
        "captions.cider": rate(cider, lambda line: line["score"]),
        "speech.word_error_rate": metrics.bootstrap(spoken, lambda drawn: metrics.word_error_rate(
            [(line["text"], line["answer"]) for group in drawn for line in group])),
    }


def read_lines(path):
    """The lines of a predictions file. Throws ValueError that names the line that is none."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError as problem:
                raise ValueError(f"{path}:{number}: expected a JSON object, got {text[:40]!r}") from problem
    return lines


def table(lines):
    """{keep: scores} of all lines."""
    return {str(keep): scores([line for line in lines if line["keep"] == keep]) for keep in sorted({line["keep"] for line in lines}, key=str, reverse=True)}
