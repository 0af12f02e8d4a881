import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from recipe import curve, evaluate, exam, examples, items, scores, see, seeds
from recipe.driving import words
from recipe.driving.sample import sample
from recipe.prompts import Turn


def lines_of(change=lambda turn: turn.answer):
    """Predictions of six driving items, two of them of two views; change(turn) is what was answered."""
    lines = []
    for i, level in enumerate(("low", "medium", "high") * 2):
        seed = seeds.EVALUATION_FROM + i
        _, item = sample(seed, 1 + i % 2, level)
        for turn in exam.asked(item, seeds.generator(seed, "asked")):
            box = turn.evidence[0].box if turn.evidence else []
            lines.append(exam.record(item, turn, {"text": change(turn), "box": box}, .5, False))
    return lines


def page_line(text, box, kind="invoice"):
    turn = Turn(kind, "What is the total?", "12.50", [])
    line = {"id": f"pages/{text}", "task": "pages", "held_out": False, "keep": .5, "views": 1, "kind": kind, "question": turn.question, "text": text,
            "box": box, "answer": turn.answer, "accepted": [], "evidence": [{"box": [.1, .1, .3, .2]}]}
    return line


@mock.patch("recipe.metrics.RESAMPLES", 20)
class Scores(unittest.TestCase):
    def test_truth_scores_one_everywhere(self):
        got = scores.table(lines_of())["0.5"]
        measured = {name: score["value"] for name, score in got.items() if score["n"]}
        self.assertEqual(set(measured) - {"captions.cider"}, {
            "driving.risk_macro_f1", "driving.risk_macro_f1_with_near", "driving.risk_parsed", "driving.object_accuracy", "driving.view_accuracy",
            "driving.evidence_iou", "driving.question_accuracy", "driving.fact_recall", "driving.fact_precision"})
        self.assertEqual({name: value for name, value in measured.items() if name != "captions.cider" and value != 1}, {})
        self.assertGreater(measured["captions.cider"], 3)

    def test_silence_scores_nothing(self):
        got = scores.scores(lines_of(lambda turn: ""))
        for name in ("driving.risk_macro_f1_with_near", "driving.risk_parsed", "driving.object_accuracy", "driving.question_accuracy",
                     "driving.fact_recall", "driving.fact_precision", "captions.cider"):
            self.assertEqual(got[name]["value"], 0, name)

    def test_pages_by_hand(self):
        got = scores.scores([page_line("12.50", [.1, .1, .3, .2]), page_line("12,50", [.1, .1, .2, .2]), page_line("99", [.5, .5, .6, .6])])
        self.assertAlmostEqual(got["documents.anls"]["value"], (1 + .8 + 0) / 3)
        self.assertAlmostEqual(got["documents.box_iou"]["value"], 2 / 3)

    def test_guesses_are_the_most_frequent_truths(self):
        lines = lines_of(lambda turn: "nonsense")
        got = list(evaluate.guesses(None, None, lines + lines))
        asked = {(line["id"], line["kind"], line["question"]) for line in lines if not line["kind"].startswith("caption")}    # some twice
        self.assertEqual(len(got), len(asked))
        own = [line for line in got if line["kind"] == "light"]
        self.assertEqual({line["text"] for line in own}, {max((line["answer"] for line in own), key=[line["answer"] for line in own].count)})
        self.assertEqual(scores.table(got).keys(), {"guessed"})

    def test_a_photograph_with_another_names_word_counts_only_where_held_out(self):
        lines = [{"id": f"photos/{held}", "task": "photos", "held_out": held, "keep": 1.0, "views": 1, "kind": "name", "question": "What is shown?",
                  "text": "a red apple", "box": [], "answer": "a green apple", "accepted": ["green apple"], "evidence": []} for held in (False, True)]
        got = scores.scores(lines)
        self.assertEqual((got["photos.name_accuracy"]["value"], got["photos.heldout_name_accuracy"]["value"]), (0, 1))


class Drawn(unittest.TestCase):
    def test_items_are_files_that_need_no_model(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict("sys.modules", {"torch": None}):
            out, assets = Path(folder) / "drawn", mock.Mock(traffic=None)
            self.assertEqual(exam.draw(assets, out, seeds.EVALUATION_FROM, 2, 3, ["driving"], [2, 1]), 2)
            lines = scores.read_lines(out / "items.jsonl")
            for line, views in zip(lines, (2, 1)):
                pictures, item, _ = items.made("driving", int(line["lines"][0]["id"].split("/")[1]), views, assets)
                for name, shown in zip(line["films"], pictures):
                    with Image.open(out / name) as film:
                        self.assertEqual(film.n_frames, len(item.times))
                        for i, picture in enumerate(shown):
                            film.seek(i)
                            self.assertTrue((np.asarray(film.convert("RGB")) == picture).all())
                            self.assertAlmostEqual(film.info["duration"], 1000 * item.times[1])
                self.assertEqual((line["views"], line["times"]), (item.views, item.times))
                kinds = [asked["kind"] for asked in line["lines"]]
                self.assertIn("assess", kinds)
                self.assertEqual(sum(kind in words.QUESTIONS for kind in kinds), 3)
        self.assertRaisesRegex(ValueError, "1000000 or more", exam.draw, None, out, seeds.EVALUATION_FROM - 1, 1)


class Pages(unittest.TestCase):
    def test_examples_want_marks_and_items(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text("no marks")
            self.assertRaisesRegex(ValueError, "expected <!-- examples -->", examples.write, None, [], page, seeds.EVALUATION_FROM, 12)
            page.write_text(f"a {examples.BEGIN} b {examples.END} c")
            self.assertRaisesRegex(ValueError, "driving/1000000", examples.write, None, lines_of(), page, seeds.EVALUATION_FROM, 1)     # none at keep 1
            lines = [{**line, "keep": 1.0} for line in lines_of()]
            assets = mock.Mock(traffic=None)
            said = examples.write(assets, lines, page, seeds.EVALUATION_FROM, 1)
            self.assertRegex(said, "^[0-3] of 3 answers")
            self.assertRegex(page.read_text(), r"(?s)^a <!-- examples -->\n\*\*1. driving 1000000.*\| .* \|\n<!-- end of examples --> c$")
            self.assertLess((page.with_suffix("") / "driving-1000000.webp").stat().st_size, examples.LIMIT_BYTES)

    def test_curves_are_means_of_what_there_is(self):
        rows = [(step, 1.0 * step, None if step % 2 else 2.0) for step in range(1, 2 * curve.WINDOW + 1)]
        middle = (curve.WINDOW + 1) / 2
        self.assertEqual(curve.means(rows, 1), [[middle, middle], [middle + curve.WINDOW] * 2])
        self.assertEqual(curve.means(rows, 2), [[curve.WINDOW + 1.0, 2.0]])

    def test_a_picture_is_the_same_each_time(self):
        with tempfile.TemporaryDirectory() as folder:
            Image.new("RGB", (300, 100), (200, 10, 10)).save(Path(folder) / "red.png")
            got = see.frames(Path(folder) / "red.png", [0, .5])
        self.assertEqual([each.shape for each in got], [(224, 224, 3)] * 2)
        self.assertEqual(got[1][0, 0].tolist(), [200, 10, 10])


if __name__ == "__main__":
    unittest.main()
