"""Scores of predictions, and how sure they are. Plain Python and numpy; formulas as the program's evaluation uses them."""
import math
from collections import Counter

import numpy as np

RESAMPLES = 1000


def bootstrap(items, score, seed=0):
    """{"value", "low", "high", "n"}: score(items) and its 95 % interval over resampled items. A missing score (None) stays None."""
    items = list(items)
    if not items:
        return {"value": None, "low": None, "high": None, "n": 0}
    random = np.random.default_rng(seed)
    drawn = [score([items[i] for i in random.integers(len(items), size=len(items))]) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": float(score(items)), "low": float(low), "high": float(high), "n": len(items)}


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def macro_f1(pairs, labels):
    """Mean over labels of 2 TP / (2 TP + FP + FN), of (predicted, true) pairs. A label that neither side has is left out."""
    scores = []
    for label in labels:
        hit = sum(p == label and t == label for p, t in pairs)
        wrong = sum((p == label) != (t == label) for p, t in pairs)
        if hit + wrong:
            scores.append(2 * hit / (2 * hit + wrong))
    return mean(scores)


def distance(a, b):
    """Levenshtein distance of two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def anls(predicted, answers):
    """Average normalised Levenshtein similarity of one item: the best over answers, 0 below one half. Reference: Biten et al., ICCV 2019; lengths are
    those of the texts as given, as lmms-eval has it."""
    best = 0.0
    for answer in answers:
        longest = max(len(answer), len(predicted))
        norm = [" ".join(text.strip().lower().split()) for text in (answer, predicted)]
        best = max(best, 1 - distance(*norm) / longest if longest else 1.0)
    return best if best >= .5 else 0.0


def word_error_rate(pairs):
    """Sum of word distances over the sum of true words, of (predicted, true) texts; lower case, punctuation apart."""
    split = [[words(text) for text in pair] for pair in pairs]
    total = sum(len(true) for _, true in split)
    return sum(distance(p, t) for p, t in split) / total if total else 0.0


def words(text):
    return "".join(c if c.isalnum() or c in "'’" else " " for c in text.lower()).split()


def box_iou(a, b):
    """Of two boxes x0 y0 x1 y1; 0 where either is missing."""
    if not a or not b:
        return 0.0
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside
    return inside / union if union > 0 else 0.0


def grams(each):
    """Counts of 1- to 4-grams of words, by order."""
    return [Counter(tuple(each[i:i + n]) for i in range(len(each) - n + 1)) for n in range(1, 5)]


def cider(predicted, references, split=words):
    """CIDEr-D of each item; predicted is a text an item, references a list of texts an item. Document frequencies are of these references.
    Reference: Vedantam et al., CVPR 2015, and its -D variant: clipped counts, Gaussian of the difference in length with sigma 6, times 10."""
    total = len(references)
    seen = Counter()
    for texts in references:
        seen.update({gram for text in texts for order in grams(split(text)) for gram in order})

    def vector(text):
        return [{gram: count * (math.log(total) - math.log(max(1, seen[gram]))) for gram, count in order.items()} for order in grams(split(text))]

    scores = []
    for text, texts in zip(predicted, references):
        own, length = vector(text), max(len(split(text)) - 1, 0)
        score = 0.0
        for reference in texts:
            other, gap = vector(reference), length - max(len(split(reference)) - 1, 0)
            for h, r in zip(own, other):
                norm = math.sqrt(sum(x * x for x in h.values())) * math.sqrt(sum(x * x for x in r.values()))
                dot = sum(min(x, r.get(gram, 0.0)) * r.get(gram, 0.0) for gram, x in h.items())
                score += (dot / norm if norm else dot) * math.exp(-gap * gap / 72)
        scores.append(10 * score / 4 / max(len(texts), 1))
    return scores


def same(predicted, answers):
    """Whether a short answer is one of those that count as right: case, articles and a full stop apart."""
    def plain(text):
        return [word for word in words(text) if word not in ("a", "an", "the")]

    return plain(predicted) in [plain(answer) for answer in answers]


def any_word(predicted, name):
    """Whether any word of a name, of three letters or more, is in a text."""
    return bool({w for w in words(name) if len(w) > 2} & set(words(predicted)))


def recall_and_precision(pairs):
    """Over (claimed facts, true facts, facts that had to be told) of all items."""
    told = sum(len(claimed & needed) for claimed, _, needed in pairs)
    needed = sum(len(needed) for *_, needed in pairs)
    right = sum(len(claimed & true) for claimed, true, _ in pairs)
    claimed = sum(len(claimed) for claimed, *_ in pairs)
    return (told / needed if needed else 0.0), (right / claimed if claimed else 0.0)
