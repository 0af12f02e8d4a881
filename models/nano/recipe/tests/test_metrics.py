import math
import unittest

from recipe import metrics

# What the public coco-caption code gives for these texts, already split into words.
REFERENCES = [
    ["a red car drives down a wet street at night", "a car moves along a rainy road", "the red sedan is driving in the rain"],
    ["two children do n't stop playing with a ball laughing loudly", "kids play ball in the park", "two kids -lrb- a boy & a girl -rrb- are playing"],
    ["the camera pans left over snow-covered mountains it 's 3.5 miles away", "snowy mountains seen from above",
     "an aerial view of mountains covered in snow"]]
HYPOTHESES = ["a red car is driving down a wet street in the rain", "two kids play with a ball in the park", "the camera shows mountains covered with snow"]


class Metrics(unittest.TestCase):
    def test_cider_is_that_of_the_reference_code(self):
        got = metrics.cider(HYPOTHESES, REFERENCES, str.split)
        for value, expected in zip(got, (2.095329, 2.396399, 0.868629)):
            self.assertAlmostEqual(value, expected, places=5)
        self.assertEqual(metrics.cider(HYPOTHESES[:1], REFERENCES[:1]), [0.0])

    def test_macro_f1_by_hand(self):
        pairs = [("low", "low"), ("low", "high"), ("high", "high"), ("medium", "high")]
        # low: 2 / (2 + 1); medium: 0 / 1; high: 2 / (2 + 2)
        self.assertAlmostEqual(metrics.macro_f1(pairs, ("low", "medium", "high")), (2 / 3 + 0 + 1 / 2) / 3)
        self.assertEqual(metrics.macro_f1([("low", "low")], ("low", "medium", "high")), 1.0)

    def test_anls_as_published_code_gives_it(self):
        for predicted, answers, expected in (("1200", ["$1,200"], 2 / 3), ("coca-cola", ["Coca Cola", "coke"], 8 / 9), ("abxx", ["abcd"], .5),
                                             ("axxx", ["abcd"], 0), ("", ["a"], 0), ("", [""], 1)):
            self.assertAlmostEqual(metrics.anls(predicted, answers), expected)

    def test_word_error_rate_counts_over_all_words(self):
        self.assertAlmostEqual(metrics.word_error_rate([("The cat sat.", "the cat sat"), ("a dog", "the big dog")]), 2 / 6)
        self.assertEqual(metrics.word_error_rate([]), 0.0)

    def test_box_iou_by_hand(self):
        self.assertAlmostEqual(metrics.box_iou([0, 0, .5, .5], [.25, 0, .75, .5]), 1 / 3)
        self.assertEqual(metrics.box_iou([], [0, 0, 1, 1]), 0.0)
        self.assertEqual(metrics.box_iou([0, 0, .1, .1], [.5, .5, 1, 1]), 0.0)

    def test_short_answers_are_the_same_without_articles_and_case(self):
        self.assertTrue(metrics.same("A red Car.", ["the red car"]))
        self.assertFalse(metrics.same("a red van", ["a red car"]))
        self.assertTrue(metrics.any_word("a small kangaroo", "red kangaroo"))
        self.assertFalse(metrics.any_word("a wombat", "red kangaroo"))

    def test_recall_and_precision_by_hand(self):
        recall, precision = metrics.recall_and_precision([({1, 2, 9}, {1, 2, 3, 4}, {1, 3}), ({5}, {5}, {5})])
        self.assertAlmostEqual(recall, 2 / 3)
        self.assertAlmostEqual(precision, 3 / 4)

    def test_the_interval_holds_the_value_and_narrows(self):
        few, many = (metrics.bootstrap([0, 1] * n, metrics.mean) for n in (10, 200))
        self.assertEqual(few["value"], .5)
        self.assertLess(few["low"], .5)
        self.assertGreater(few["high"], .5)
        self.assertLess(many["high"] - many["low"], few["high"] - few["low"])
        # A share of one half over 400: 1.96 * sqrt(.25 / 400)
        self.assertTrue(math.isclose(many["high"] - .5, .049, abs_tol=.008))
        self.assertIsNone(metrics.bootstrap([], metrics.mean)["value"])


if __name__ == "__main__":
    unittest.main()
