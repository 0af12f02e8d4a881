"""From positions and speeds to a level of risk.

Time to collision is what is left until the outlines touch if nobody changes speed or direction (constant velocity in road coordinates, as
surrogate safety measures define it). Below HIGH_SECONDS the risk is high, below MEDIUM_SECONDS medium, else low."""
import dataclasses

import numpy as np

from .traffic import VULNERABLE

HIGH_SECONDS = 2.0
MEDIUM_SECONDS = 4.5
LEVELS = ("low", "medium", "high")
MARGIN_METRES = 0.3               # air that a driver leaves on each side of a vehicle
VULNERABLE_MARGIN_METRES = 0.6    # and of people without a body of steel around them
NEAR_SHARE = 0.1                  # a level that a change of the time by this share, or no margin, would alter is near its threshold
NEAR_METRES = 0.3
STANDING = 0.5                    # metres a second below which a car endangers nobody


@dataclasses.dataclass
class Danger:
    """The worst of a clip. `actor` is the index of its cause and None where the level is low."""
    level: str
    seconds: float
    actor: int | None
    first: int
    last: int
    near: bool


def level_of(seconds):
    """The level of a time to collision, which may be infinite."""
    return "high" if seconds < HIGH_SECONDS else "medium" if seconds < MEDIUM_SECONDS else "low"


def overlap_from(gap, speed, reach):
    """When two intervals whose centres are `gap` apart and whose halves sum to `reach` begin and cease to overlap: (from, until) seconds."""
    if abs(speed) < 1e-6:
        return (-np.inf, np.inf) if abs(gap) < reach else (np.inf, -np.inf)
    ends = sorted(((-reach - gap) / speed, (reach - gap) / speed))
    return ends[0], ends[1]


def seconds_to_collision(ours, other, at, extra=0.0):
    """From time index `at` on; inf if they pass each other, or if someone unprotected walks up to us while we stand. `extra` metres are added to
    the margin."""
    if abs(ours.speed_s[at]) < STANDING and other.name in VULNERABLE:
        return np.inf
    margin = (VULNERABLE_MARGIN_METRES if other.name in VULNERABLE else MARGIN_METRES) + extra
    our_s, our_d = ours.reach(at)
    its_s, its_d = other.reach(at)
    along = overlap_from(other.s[at] - ours.s[at], other.speed_s[at] - ours.speed_s[at], our_s + its_s)
    across = overlap_from(other.d[at] - ours.d[at], other.speed_d[at] - ours.speed_d[at], our_d + its_d + margin)
    begin, end = max(along[0], across[0]), min(along[1], across[1])
    return np.inf if begin >= end or end <= 0 else max(begin, 0.0)


def table(ours, others, extra=0.0):
    """[actors, times] of seconds to collision."""
    count = len(ours.s)
    rows = [[seconds_to_collision(ours, other, at, extra) for at in range(count)] for other in others]
    return np.array(rows, float).reshape(len(others), count)


def judge(ours, others):
    """The danger of a clip: its worst level, who causes it, from when to when (time indices)."""
    seconds = table(ours, others)
    if not seconds.size:
        return Danger("low", np.inf, None, 0, len(ours.s) - 1, False)
    worst = seconds.min()
    level = level_of(worst)
    near = any(level_of(x) != level for x in (worst * (1 - NEAR_SHARE), worst * (1 + NEAR_SHARE)))
    near = near or any(level_of(table(ours, others, extra).min()) != level for extra in (-NEAR_METRES, NEAR_METRES))
    if level == "low":
        return Danger(level, worst, None, 0, len(ours.s) - 1, near)
    actor = int(seconds.min(1).argmin())
    at = [i for i, x in enumerate(seconds[actor]) if level_of(x) == level]
    return Danger(level, float(worst), actor, at[0], at[-1], near)
