"""What stands and moves in a scene, drawn from a seed. Nothing here knows pixels."""
import dataclasses

import numpy as np

from ..seeds import choose
from .risk import LEVELS, judge
from .traffic import LANE_METRES, SIZES, moving

COLORS = {
    "white": (240, 240, 238), "black": (26, 26, 30), "grey": (124, 126, 130), "red": (190, 26, 28),
    "blue": (32, 70, 172), "green": (32, 122, 58), "yellow": (232, 192, 36), "orange": (226, 112, 28), "brown": (104, 70, 44),
}
PLACES = ("city street", "suburban street", "country road", "highway")
TIMES_OF_DAY = ("day", "dusk", "night")
WEATHERS = ("clear", "rain", "fog")
LIGHTS = ("red", "yellow", "green")
VEHICLES = ("car", "van", "truck", "bus", "motorcycle")
FARTHEST = 24.0     # metres to what we meet, where speeds can be chosen: farther things are too small to be told of


@dataclasses.dataclass
class Scene:
    """Everything true of a scene. `ours` is the track of our car; `actors` all others, without the row of parked cars `parked`."""
    place: str
    time_of_day: str
    weather: str
    lanes: int                # in our direction
    ours: object
    own_motion: str
    actors: list
    parked: list
    curvature: float          # 1 / metres, to the left
    crossing: float | None    # s of a zebra crossing
    junction: float | None    # s of a side street
    light: str | None         # of the traffic light there
    times: np.ndarray
    danger: object = None


class Script:
    """Writes the actors of one scene: each method adds one that collides in about `wanted` seconds at the clip's end, or none (inf)."""

    def __init__(self, random, scene):
        self.random, self.scene, self.times = random, scene, scene.times
        self.end = float(scene.times[-1])
        self.our_speed = float(scene.ours.speed_s[-1])
        self.our_end = float(scene.ours.s[-1])

    def uniform(self, low, high):
        return float(self.random.uniform(low, high))

    def add(self, name, color, motion, s, d, **options):
        self.scene.actors.append(moving(name, color, motion, self.times, s, d, **options))

    def color(self):
        return choose(self.random, tuple(COLORS))

    def vehicle(self):
        return VEHICLES[int(self.random.choice(5, p=[.5, .15, .15, .12, .08]))]

    def ahead(self, wanted):
        """In our lane: drives on, brakes or stands."""
        name = self.vehicle()
        braking = self.our_speed > 4 and self.random.random() < 0.5
        slowing = -self.uniform(2, 5) if braking else 0.0
        closing = min(self.uniform(0.35, 1.0) * self.our_speed, FARTHEST / wanted) if np.isfinite(wanted) else -self.uniform(0, 1.5)
        final = max(self.our_speed - closing, 0.0)
        if not np.isfinite(wanted):
            slowing, final = 0.0, self.our_speed + self.uniform(0, 2)
        if final < 0.6:
            final = 0.0
        closing = self.our_speed - final
        first = final - slowing * self.end if final > 0 else 0.0
        slowing = slowing if final > 0 else 0.0
        gap = closing * wanted if np.isfinite(wanted) else self.uniform(6, 16)
        length = SIZES[name][0]
        final_s = self.our_end + gap + length / 2 + SIZES["car"][0] / 2
        moved = first * self.end + slowing * self.end**2 / 2
        motion = "stands still" if final == 0 else "brakes" if slowing else "drives ahead"
        self.add(name, self.color(), motion, final_s - moved, 0.0, speed_s=first, acceleration=slowing, role="cause")

    def crosses(self, wanted):
        """Someone walks or rides over the road in front of us."""
        name = "pedestrian" if self.random.random() < 0.7 else "cyclist"
        side = 1 if self.random.random() < 0.5 else -1
        speed = self.uniform(1.0, 1.9) if name == "pedestrian" else self.uniform(2.2, 4.0)
        if np.isfinite(wanted):
            s = self.our_end + self.our_speed * wanted + SIZES["car"][0] / 2 + 0.3
            d_then = self.uniform(-0.9, 0.9)     # where it is when we arrive
            d = d_then + side * speed * (self.end + wanted)
        else:
            s, d = self.our_end + self.uniform(6, 15), side * self.uniform(6, 7)
            if self.random.random() < 0.6:
                self.add(name, self.color(), "waits at the kerb", s, side * self.kerb(side), heading=-side * np.pi / 2)
                return
            speed, d = self.uniform(1.0, 1.6), side * (self.kerb(side) + 0.2)
            side = -side                         # walks away from the road
        motion = "crosses from the left" if side > 0 else "crosses from the right"
        if not np.isfinite(wanted):
            motion = "walks away" if name == "pedestrian" else "rides away"
        self.add(name, self.color(), motion, s, d, speed_d=-side * speed, heading=-side * np.pi / 2, role="cause")

    def kerb(self, side):
        """|d| of someone who stands at the kerb of that side."""
        return LANE_METRES * (self.scene.lanes - 0.5 + self.scene.lanes if side > 0 else 0.5) + 1.2

    def rides_ahead(self, wanted):
        """A cyclist in our lane, or at its edge."""
        speed = self.uniform(2.5, 5.5)
        closing = self.our_speed - speed
        inside = np.isfinite(wanted) and closing > 1
        gap = closing * wanted if inside else self.uniform(6, 14)
        d = self.uniform(-0.7, 0.3) if inside else -self.uniform(2.0, 2.5)
        s = self.our_end + gap + SIZES["cyclist"][0] / 2 + SIZES["car"][0] / 2 - speed * self.end
        self.add("cyclist", self.color(), "rides ahead", s, d, speed_s=speed, role="cause")

    def cuts_in(self, wanted):
        """From the lane on our left into ours, slower than we are."""
        if self.scene.lanes < 2:
            return self.ahead(wanted)
        name, across = self.vehicle(), self.uniform(0.9, 1.6)
        closing = min(self.uniform(0.25, 0.7) * self.our_speed, FARTHEST / wanted)
        d_end = self.uniform(1.4, 2.4)
        if not np.isfinite(wanted):
            closing, across, d_end = -self.uniform(0.0, 2.0), 0.0, LANE_METRES
        gap = closing * wanted if np.isfinite(wanted) else self.uniform(4, 14)
        speed = self.our_speed - closing
        s_end = self.our_end + gap + SIZES[name][0] / 2 + SIZES["car"][0] / 2
        motion = "cuts in" if np.isfinite(wanted) else "drives beside us"
        start = max(self.end - (LANE_METRES - d_end) / across, 0) if across else 0.0
        self.add(name, self.color(), motion, s_end - speed * self.end, d_end + across * (self.end - start),
                 speed_s=speed, speed_d=-across, side_from=start, role="cause")

    def oncoming_drifts(self, wanted):
        """Comes towards us, over the middle line if it is to collide."""
        name = self.vehicle()
        speed = self.uniform(3, 9)
        lane = LANE_METRES * self.scene.lanes
        closing = self.our_speed + speed
        gap = closing * (wanted if np.isfinite(wanted) else self.uniform(.8, 2))
        half = SIZES[name][0] / 2 + SIZES["car"][0] / 2
        d_end, across, start = lane, 0.0, 0.0
        if np.isfinite(wanted):
            across = self.uniform(0.7, 1.3)
            d_end = self.uniform(0.2, 1.4)
            start = max(self.end - (lane - d_end) / across, 0)
        self.add(name, self.color(), "drifts into our lane" if np.isfinite(wanted) else "comes towards us",
                 self.our_end + gap + half + speed * self.end, d_end + across * (self.end - start), speed_s=-speed,
                 speed_d=-across, side_from=start, heading=np.pi, role="cause")

    def from_side_street(self, wanted):
        """A vehicle out of the side street."""
        if self.scene.junction is None:
            return self.crosses(wanted)
        name = self.vehicle()
        side = 1 if self.random.random() < 0.5 else -1
        s = self.scene.junction + (1.9 if side < 0 else -1.9)
        if np.isfinite(wanted):
            speed = self.uniform(4, 9)
            arrive = max((s - self.our_end - SIZES["car"][0] / 2 - 1) / max(self.our_speed, 0.1), 0.1)
            d = side * speed * (self.end + arrive) + self.uniform(-1, 1)
            motion = "crosses from the left" if side > 0 else "crosses from the right"
        else:
            speed, d, motion = 0.0, side * (self.kerb(side) + SIZES[name][0] / 2 + 1), "waits at the junction"
        self.add(name, self.color(), motion, s, d, speed_d=-side * speed, heading=-side * np.pi / 2, role="cause")

    def pulls_out(self, wanted):
        """Leaves the row of parked cars on the right."""
        name = "car" if self.random.random() < 0.7 else "van"
        if not np.isfinite(wanted):
            return self.ahead(wanted)
        speed, across = self.uniform(1.5, 3.0), self.uniform(0.7, 1.2)
        gap = (self.our_speed - speed) * wanted
        d_end = -self.uniform(1.2, 2.0)
        s_end = self.our_end + gap + SIZES[name][0] / 2 + SIZES["car"][0] / 2
        start = max(self.end - (2.6 + d_end) / across, 0)
        self.add(name, self.color(), "pulls out", s_end - speed * self.end, d_end - across * (self.end - start), speed_s=speed,
                 speed_d=across, side_from=start, role="cause")

    def from_behind(self, wanted):
        """In our lane behind us, faster than we are if it is to collide."""
        name = self.vehicle()
        closing = min(self.uniform(2, 8), FARTHEST / wanted) if np.isfinite(wanted) else -self.uniform(0, 1)
        gap = closing * wanted if np.isfinite(wanted) else self.uniform(5, 14)
        speed = max(self.our_speed + closing, 0.0)
        s_end = self.our_end - gap - SIZES[name][0] / 2 - SIZES["car"][0] / 2
        self.add(name, self.color(), "comes up from behind" if np.isfinite(wanted) else "follows us",
                 s_end - speed * self.end, 0.0, speed_s=speed, role="cause")

    def background(self, count):
        """Others that are in nobody's way."""
        for _ in range(count):
            kind = int(self.random.integers(4))
            far = self.uniform(-6, 26)
            if kind == 0:
                name, speed = self.vehicle(), self.uniform(5, 13)
                lane = LANE_METRES * self.scene.lanes + (LANE_METRES if self.scene.lanes > 1 and self.random.random() < .5 else 0)
                self.add(name, self.color(), "comes towards us", self.our_end + far + speed * self.end, lane, speed_s=-speed,
                         heading=np.pi)
            elif kind == 1 and self.scene.lanes > 1:
                name, speed = self.vehicle(), max(self.our_speed + self.uniform(-2, 2), 0)
                motion = "drives beside us" if speed > 0.5 else "stands still"
                self.add(name, self.color(), motion, self.our_end + far * 0.6 - speed * self.end, LANE_METRES,
                         speed_s=speed if speed > 0.5 else 0.0)
            elif self.scene.place != "highway":
                side = 1 if self.random.random() < 0.5 else -1
                along = 1 if self.random.random() < 0.5 else -1
                if kind == 3:
                    self.add("pedestrian", self.color(), "waits at the kerb", self.our_end + abs(far), side * self.kerb(side),
                             heading=-side * np.pi / 2)
                else:
                    self.add("pedestrian", self.color(), "walks along the road", self.our_end + far,
                             side * (self.kerb(side) + self.uniform(0.6, 2)), speed_s=along * self.uniform(0.9, 1.6),
                             heading=0 if along > 0 else np.pi)


BEHIND = (Script.from_behind,)
IN_FRONT = (Script.ahead, Script.crosses, Script.rides_ahead, Script.cuts_in, Script.oncoming_drifts, Script.from_side_street,
            Script.pulls_out)
ON_HIGHWAYS = (Script.ahead, Script.cuts_in)


def own_car(random, times, place):
    """Our track and what we are doing."""
    fast = {"highway": (12, 22), "country road": (7, 14)}.get(place, (4, 10))
    speed, motion = float(random.uniform(*fast)), "drives"
    acceleration = 0.0
    kind = random.random()
    if kind < 0.12 and place != "highway":
        speed, motion = 0.0, "stands still"
    elif kind < 0.3:
        acceleration, motion = -float(random.uniform(1.5, 3.5)), "brakes"
        speed = max(speed, -acceleration * times[-1] + 1.5)
    return moving("car", "grey", motion, times, 0.0, 0.0, speed_s=speed, acceleration=acceleration), motion


def setting(random, times):
    """A scene without actors."""
    place = PLACES[int(random.choice(4, p=[.45, .25, .15, .15]))]
    built = place in ("city street", "suburban street")
    ours, own_motion = own_car(random, times, place)
    lanes = {"city street": 1 + int(random.random() < .6), "highway": 2}.get(place, 1)
    junction = float(ours.s[-1] + random.uniform(9, 38)) if built and random.random() < 0.45 else None
    crossing = None
    if built and random.random() < 0.4:
        crossing = junction - 7.0 if junction is not None else float(ours.s[-1] + random.uniform(5, 30))
    light = choose(random, LIGHTS) if junction is not None and random.random() < 0.65 else None
    curvature = 0.0 if junction is not None or random.random() < 0.5 else float(random.uniform(-1, 1)) / (60 if built else 130)
    return Scene(place=place, time_of_day=TIMES_OF_DAY[int(random.choice(3, p=[.5, .2, .3]))],
                 weather=WEATHERS[int(random.choice(3, p=[.6, .25, .15]))], lanes=lanes, ours=ours, own_motion=own_motion, actors=[],
                 parked=parked_cars(random, ours, built, junction, crossing), curvature=curvature, crossing=crossing,
                 junction=junction, light=light, times=times)


def parked_cars(random, ours, built, junction, crossing):
    """(name, color, s) of what is parked at the right kerb."""
    if not built or random.random() < 0.7:
        return []
    taken = [x for x in (junction, crossing) if x is not None]
    places = np.arange(-14.0, ours.s[-1] + 55, 6.5) + random.uniform(0, 3)
    return [("van" if random.random() < .2 else "car", choose(random, tuple(COLORS)), float(s)) for s in places
            if random.random() < 0.6 and all(abs(s - x) > 9 for x in taken)]


def clear_of_parked(scene):
    """Parked cars that nobody drives through."""
    def free(s):
        return all(np.min(np.abs(actor.s - s) + 4 * np.maximum(np.abs(actor.d + 2.9) - 2.2, 0)) > 8 for actor in scene.actors)
    return [car for car in scene.parked if free(car[2])]


def touching(one, other, at):
    """Whether two tracks stand in each other."""
    a, b = one.reach(at), other.reach(at)
    return abs(one.s[at] - other.s[at]) < a[0] + b[0] + 0.3 and abs(one.d[at] - other.d[at]) < a[1] + b[1] + 0.1


def possible(scene):
    """Whether nothing stands in anything else."""
    tracks = [scene.ours] + scene.actors
    last = len(scene.times) - 1
    return not any(touching(a, b, at) for at in (0, last // 2, last) for i, a in enumerate(tracks) for b in tracks[:i])


def scripted(random, times, views, level=None):
    """A scene whose danger is of `level` (any if none), caused in front of us, or behind if a camera looks there. Draws until one fits."""
    wanted_level = level or choose(random, LEVELS)
    while True:
        scene = setting(random, times)
        script = Script(random, scene)
        behind = "rear" in views and (len(views) == 1 or random.random() < .2)
        scripts = BEHIND if behind else ON_HIGHWAYS if scene.place == "highway" else IN_FRONT
        wanted = {"high": random.uniform(0.5, 2.1), "medium": random.uniform(1.9, 4.6), "low": random.uniform(4.4, 9)}[wanted_level]
        if wanted_level == "low" and random.random() < 0.6:
            wanted = np.inf
        if not (wanted_level == "low" and random.random() < 0.25):
            choose(random, scripts)(script, wanted)
        script.background(int(random.integers(0, 4)))
        scene.danger = judge(scene.ours, scene.actors)
        cause = scene.danger.actor
        if scene.danger.level == wanted_level and possible(scene) and (cause is None or scene.actors[cause].role == "cause"):
            scene.parked = clear_of_parked(scene)
            return scene
