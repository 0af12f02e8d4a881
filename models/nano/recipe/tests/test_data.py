import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from recipe import seeds
from recipe.assets import name_in, pack, unpack
from recipe.driving import risk, sumo, words
from recipe.driving.draw import VIEWS, Camera, projected
from recipe.driving.sample import sample
from recipe.driving.scene import scripted
from recipe.driving.traffic import moving
from recipe.pages.kinds import KINDS
from recipe.pages.paper import cells, text_of
from recipe.pages.sample import question

TIMES = np.arange(3) * .5


def ours(speed=10.0):
    return moving("car", "grey", "drives", TIMES, 0, 0, speed_s=speed)


class Seeds(unittest.TestCase):
    def test_training_refuses_what_evaluation_owns(self):
        self.assertEqual(seeds.training_seed(999_999), 999_999)
        self.assertEqual(seeds.evaluation_seed(1_000_000), 1_000_000)
        for refused in (lambda: seeds.training_seed(1_000_000), lambda: seeds.training_seed(-1), lambda: seeds.evaluation_seed(999_999)):
            self.assertRaises(ValueError, refused)

    def test_one_name_in_ten_is_held_out_for_good(self):
        names = [f"thing {i}" for i in range(2000)]
        self.assertAlmostEqual(np.mean([seeds.held_out(name) for name in names]), .1, delta=.02)
        self.assertEqual(seeds.held_out("koala"), seeds.held_out("koala"))


class Assets(unittest.TestCase):
    def test_a_description_gives_a_name_or_none(self):
        for text, name in (("A red kangaroo.\nca.utf8=Un", "red kangaroo"), ("Santa Claus!", "Santa Claus"), ("“Fuji” apple", "fuji apple"),
                           ("An apple: it is red", "apple"), ("Eat your broccoli.", ""), ("", ""), ("One two three four five", "")):
            self.assertEqual(name_in(text), name)

    def test_pieces_join_to_what_was_cut_and_a_damaged_one_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            whole, pieces, again = (Path(folder) / name for name in ("whole", "pieces", "again"))
            whole.mkdir()
            (whole / "a").write_bytes(seeds.generator(0, "noise").bytes(25_000))     # cannot be packed smaller
            with mock.patch("recipe.assets.PIECE_BYTES", 10_000):
                self.assertGreater(len(pack(whole, pieces)), 2)
            unpack(pieces, again)
            self.assertEqual((again / "a").read_bytes(), (whole / "a").read_bytes())
            (pieces / "part-01").write_bytes(b"")
            self.assertRaisesRegex(ValueError, "part-01: expected a piece", unpack, pieces, again)


class Risk(unittest.TestCase):
    def test_a_standing_car_ahead_is_reached_when_its_bumper_is(self):
        other = moving("car", "red", "stands still", TIMES, 30, 0)
        # Middles 30 m apart, bumpers 25.6 m, 10 m a second; half a second later half a second less.
        for at, expected in ((0, 2.56), (1, 2.06), (2, 1.56)):
            self.assertAlmostEqual(risk.seconds_to_collision(ours(), other, at), expected)
        danger = risk.judge(ours(), [other])
        self.assertEqual((danger.level, danger.actor, danger.first, danger.last), ("high", 0, 2, 2))

    def test_who_keeps_to_another_lane_endangers_nobody(self):
        beside = moving("truck", "red", "comes towards us", TIMES, 30, 3.5, speed_s=-10, heading=np.pi)
        self.assertEqual(risk.seconds_to_collision(ours(), beside, 0), np.inf)
        self.assertEqual(risk.judge(ours(), [beside]).level, "low")
        self.assertEqual(risk.judge(ours(), []).level, "low")

    def test_someone_who_crosses_is_hit_only_where_paths_meet_in_time(self):
        meets = moving("pedestrian", "red", "crosses from the left", TIMES, 22.45, 3, speed_d=-1.5, heading=-np.pi / 2)
        early = moving("pedestrian", "red", "crosses from the left", TIMES, 22.45, -3, speed_d=-1.5, heading=-np.pi / 2)
        self.assertAlmostEqual(risk.seconds_to_collision(ours(), meets, 0), (22.45 - 2.2 - .3) / 10)   # .3: half of a walker's width
        self.assertEqual(risk.seconds_to_collision(ours(), early, 0), np.inf)

    def test_while_we_stand_walkers_are_safe_and_we_may_be_hit(self):
        walker = moving("pedestrian", "red", "crosses from the left", TIMES, 2.0, 3, speed_d=-1.5, heading=-np.pi / 2)
        behind = moving("car", "red", "comes up from behind", TIMES, -24.4, 0, speed_s=10)
        self.assertEqual(risk.seconds_to_collision(ours(0.0), walker, 0), np.inf)
        self.assertAlmostEqual(risk.seconds_to_collision(ours(0.0), behind, 0), 2.0)

    def test_levels_turn_at_their_thresholds_and_near_ones_say_so(self):
        self.assertEqual([risk.level_of(x) for x in (1.99, 2.0, 4.49, 4.5, np.inf)], ["high", "medium", "medium", "low", "low"])
        for gap, near in ((10 * 3 + 4.4 + 10, False), (10 * 2.1 + 4.4 + 10, True)):
            self.assertEqual(risk.judge(ours(), [moving("car", "red", "stands still", TIMES, gap, 0)]).near, near)


class Scenes(unittest.TestCase):
    def test_a_wanted_level_is_what_comes_out(self):
        for level in risk.LEVELS:
            for seed in range(5):
                scene = scripted(seeds.generator(seed, level), np.arange(8) * .3, ["front"], level)
                self.assertEqual(risk.judge(scene.ours, scene.actors).level, level)

    def test_what_is_straight_ahead_is_in_the_middle_and_what_is_left_is_left(self):
        camera = Camera(0.0, 0.0, 1.5, (.8, 1.0), 0.0)
        points = np.array([[(10, 0, 1.5), (10, 2, 1.5), (10, 0, 0.5)] + [(10, 0, 1.5)] * 5], float)
        places, depth = projected(points, camera, (0.0, 0.0, 0.0))
        np.testing.assert_allclose(places[0, :3], [(.5, .5), (.5 - .8 * .2, .5), (.5, .6)])
        np.testing.assert_allclose(depth[0], 10)

    def test_an_item_is_the_same_each_time_and_its_words_are_true(self):
        first, second = sample(7, 1), sample(7, 1)
        np.testing.assert_array_equal(first[0], second[0])
        self.assertEqual(first[1].json(), second[1].json())
        for pictures, item in (first, sample(8, 6)):
            self.assertEqual(pictures.shape[:2], (len(item.views), len(item.times)))
            self.assertTrue(set(item.views) <= set(VIEWS))
            true = words.true_facts(item.facts, item.agents)
            for texts in item.captions.values():
                for text in texts:
                    self.assertTrue(words.facts_in(text) <= true, (text, words.facts_in(text) - true))
            self.assertTrue(words.true_facts(item.facts, item.agents[:3]) <= words.facts_in(item.captions["detailed"][0]))
            read = words.read_assessment(words.assessment(item.risk))
            self.assertEqual((read["level"], read["object"]), (item.risk.level, item.risk.object or "none"))
            for agent in item.agents:
                self.assertTrue(0 <= agent.box[0] < agent.box[2] <= 1 and 0 <= agent.box[1] < agent.box[3] <= 1)

    def test_what_is_no_assessment_has_no_level(self):
        self.assertEqual(words.read_assessment("It looks fine.")["level"], "unknown")
        self.assertEqual(words.read_assessment("level: terrible; object: car")["level"], "unknown")


class Traffic(unittest.TestCase):
    def piece(self, **changes):
        """A car that stands 40 m ahead of ours, which drives 10 m a second."""
        values = [[40.0, 0.0, 0.0, 0.0]] * 8
        return {"times": [.2 * i for i in range(8)], "ours": [[2.0 * i, 10.0] for i in range(8)], "junction": 60.0, "motion": "drives", "light": "red",
                "actors": [{"name": "car", "motion": "stands still", "braking": False, "values": values}], "level": "medium", **changes}

    def test_a_piece_is_judged_like_a_scripted_scene(self):
        scene = sumo.scene_of(self.piece(), None)
        # At the end 26 m between the middles, 21.6 between the bumpers.
        self.assertAlmostEqual(scene.danger.seconds, 2.16)
        fewer = sumo.thinned(scene, 4)
        np.testing.assert_allclose(fewer.times, [0, .4, .8, 1.2])
        np.testing.assert_allclose(fewer.ours.s, [2, 6, 10, 14])
        self.assertAlmostEqual(fewer.danger.seconds, 2.16)

    def test_every_tenth_piece_is_for_evaluation_alone(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(json.dumps(self.piece(motion=f"{i}")) + "\n" for i in range(20))
            file.flush()
            recorded = sumo.Recorded(file.name)
        for seed, expected in ((1, set(range(20)) - {0, 10}), (1_000_001, {0, 10})):
            make, random = recorded.maker(seed), seeds.generator(seed, "x")
            self.assertEqual({int(make(random, np.arange(8), ["front"], "medium").own_motion) for _ in range(200)}, expected)

    def test_what_moves_how_is_told_from_its_track(self):
        times = np.arange(8) * .2
        ours = sumo.scene_of(self.piece(), None).ours
        flat = 0 * times

        def told(name, s, d, heading, speed, across):
            return sumo.motion_of(name, ours, s + flat, d + flat, heading + flat, speed + flat, across + flat)
        self.assertEqual(told("car", 40, 0, 0, 0, 0), "stands still")
        self.assertEqual(told("car", 40, 0, 0, np.linspace(9, 5, 8), 0), "brakes")
        self.assertEqual(told("car", 40, np.linspace(3, 1, 8), 0, 8, -1), "cuts in")
        self.assertEqual(told("car", -20, 0, 0, 14, 0), "comes up from behind")
        self.assertEqual(told("bus", 40, 7, np.pi, 8, 0), "comes towards us")
        self.assertEqual(told("car", 40, 10, -np.pi / 2, 5, -5), "crosses from the left")
        self.assertEqual(told("pedestrian", 40, -1, np.pi / 2, 1.2, 1.2), "crosses from the right")
        self.assertIsNone(told("car", 40, 0, np.linspace(0, 1.5, 8), 5, 0))


class Pages(unittest.TestCase):
    def test_words_become_cells_by_rows_and_gaps(self):
        written = [("Total", 10, 50, 40, 60), ("9.50", 200, 51, 230, 61), ("Red", 10, 20, 30, 30), ("pens", 34, 20, 60, 30)]
        found = cells(written, (400, 100))
        self.assertEqual([cell.text for cell in found], ["Red pens", "Total", "9.50"])
        self.assertEqual([cell.row for cell in found], [0, 1, 1])
        self.assertEqual(found[2].box, [.5, .51, .575, .61])
        self.assertEqual(text_of(found), "Red pens\nTotal | 9.50")

    def test_evidence_is_the_cell_that_shows_the_answer(self):
        found = cells([("Sum", 10, 20, 30, 30), ("12", 200, 20, 220, 30), ("112", 10, 50, 40, 60)], (400, 100))
        self.assertEqual(question("How much?", "12", "12", "table", found).evidence[0].quote, "12")
        self.assertEqual(question("How many?", "3", "", "table", found).evidence, [])
        self.assertEqual(len(KINDS), 7)


if __name__ == "__main__":
    unittest.main()
