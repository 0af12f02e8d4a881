"""Writes tome.json: token merging on finished tokens in plain Python: make_tome.py

Tokens are those of the golden tests' generator (tests/support/close_to.h). Each round merges the
same number of pairs, at most half of the tokens; rows come out in the order of the tokens that the
others joined, as (size, first feature).
"""
import json
import math
from pathlib import Path


def tokens(seed, count, width):
    state, rows = seed, []
    for _ in range(count):
        row = []
        for _ in range(width):
            state = (1664525 * state + 1013904223) % 2**32
            row.append(state / 2**31 - 1)
        rows.append(row)
    return rows


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b))


def tome(rows, budget, steps):
    state = [(list(row), 1, i) for i, row in enumerate(rows)]
    pairs = -(-(len(rows) - budget) // steps)
    while len(state) > budget:
        r = min(pairs, len(state) - budget, len(state) // 2)
        even, odd = state[0::2], [list(row) for row in state[1::2]]
        best = []
        for features, _, _ in even:
            scores = [cosine(features, other[0]) for other in state[1::2]]
            best.append((max(scores), scores.index(max(scores))))
        order = sorted(range(len(even)), key=lambda i: -best[i][0])
        for i in order[:r]:
            features, size, _ = even[i]
            into = odd[best[i][1]]
            into[0] = [(x * into[1] + y * size) / (into[1] + size)
                       for x, y in zip(into[0], features)]
            into[1] += size
        state = [even[i] for i in order[r:]] + [tuple(row) for row in odd]
    return sorted(state, key=lambda row: row[2])


def main():
    cases = []
    for seed, count, width, budget, steps in [(21, 49, 16, 15, 8), (22, 49, 16, 7, 1),
                                              (23, 100, 8, 33, 5), (24, 13, 4, 1, 3)]:
        rows = tome(tokens(seed, count, width), budget, steps)
        cases.append(dict(seed=seed, tokens=count, width=width,
                          params=f"tokens={budget},steps={steps}",
                          rows=[[size, round(row[0], 7)] for row, size, _ in rows]))
    lines = ",\n".join(json.dumps(case) for case in cases)
    Path(__file__).with_name("tome.json").write_text(f'{{"cases": [\n{lines}\n]}}\n')


main()
