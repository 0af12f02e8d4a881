"""Who moves how on a road: tracks in road coordinates. `s` runs along the road from where our car begins, `d` to its left, both metres."""
import dataclasses

import numpy as np

LANE_METRES = 3.5

# Length, width, height in metres.
SIZES = {
    "car": (4.4, 1.8, 1.5), "van": (5.2, 2.0, 2.2), "truck": (8.5, 2.5, 3.4), "bus": (11.0, 2.55, 3.2),
    "motorcycle": (2.1, 0.8, 1.6), "cyclist": (1.8, 0.6, 1.75), "pedestrian": (0.5, 0.6, 1.75),
}
VULNERABLE = ("cyclist", "pedestrian", "motorcycle")


@dataclasses.dataclass
class Track:
    """Where an actor is at each time of a clip. Arrays [T]; heading in radians against the road's direction."""
    name: str
    color: str
    motion: str
    s: np.ndarray
    d: np.ndarray
    speed_s: np.ndarray
    speed_d: np.ndarray
    heading: np.ndarray
    braking: np.ndarray
    role: str = "background"

    def reach(self, at):
        """Half of what it takes along s and along d at time index `at`."""
        length, width, _ = SIZES[self.name]
        cosine, sine = abs(np.cos(self.heading[at])), abs(np.sin(self.heading[at]))
        return (length * cosine + width * sine) / 2, (length * sine + width * cosine) / 2


def moving(name, color, motion, times, s, d, speed_s=0.0, speed_d=0.0, acceleration=0.0, heading=0.0, side_from=0.0,
           side_until=np.inf, role="background"):
    """A track of constant acceleration along the road that stops at standstill, and of constant speed across it between two times."""
    times = np.asarray(times, float)
    stop = times.copy()
    if acceleration * speed_s < 0:
        stop = np.minimum(times, -speed_s / acceleration)
    along = s + speed_s * stop + acceleration * stop**2 / 2
    now_s = speed_s + acceleration * stop
    across = d + speed_d * np.clip(times - side_from, 0, max(side_until - side_from, 0))
    now_d = np.where((times >= side_from) & (times < side_until), speed_d, 0.0)
    angle = np.full_like(times, heading)
    if speed_d and abs(np.sin(heading)) < 0.5:   # vehicles turn their nose, walkers already look where they go
        angle = angle + np.arctan2(now_d * np.cos(heading), np.maximum(np.abs(now_s), 2.0)) * 0.9
    braking = np.full_like(times, 1.0) * ((acceleration * speed_s < 0) and name not in ("pedestrian", "cyclist"))
    return Track(name, color, motion, along, across, now_s, now_d, angle, braking, role)
