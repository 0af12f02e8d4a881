"""Commands, their outputs and their exit statuses."""

import json
import os
import re
import struct
import tempfile
import unittest
import zlib
from pathlib import Path

from program import SAMPLES, SHORT, ffmpeg, pdf, result_of, run

PROGRESS = re.compile(r"longview: (decode|listen|encode|compress|generate)")
STAGES = ("decode", "listen", "encode", "compress", "generate")


class CaptionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.result = result_of("caption", *SHORT)   # the sample clip

    def test_the_sample_clip_is_told_with_what_is_said_in_it(self):
        self.assertEqual(self.result["task"], "caption")
        self.assertEqual(self.result["audio"], "used")
        self.assertTrue(self.result["transcript"])
        for speech in self.result["transcript"]:
            self.assertIn(speech["text"].strip(), self.result["text"])

    def test_json_has_every_field(self):
        for field in ("model", "text", "sources", "segments", "transcript", "screen_text", "sampling",
                      "compression", "tokens", "timing_ms", "peak_memory_bytes", "warnings"):
            self.assertIn(field, self.result)
        self.assertEqual(len(self.result["sampling"]), 2)
        source = self.result["sources"][0]
        self.assertEqual(source["kind"], "video")
        self.assertGreater(source["duration_seconds"], 1)

    def test_the_stages_times_add_up_to_the_total(self):
        times = self.result["timing_ms"]
        self.assertAlmostEqual(sum(times[stage] for stage in STAGES) / times["total"], 1, delta=0.05)

    def test_segments_cover_the_film_in_order(self):
        segments = self.result["segments"]
        self.assertEqual(segments[0]["start"], 0)
        for before, after in zip(segments, segments[1:]):
            self.assertEqual(before["end"], after["start"])
        self.assertGreaterEqual(segments[-1]["end"], self.result["sources"][0]["duration_seconds"] - 0.01)

    def test_fewer_tokens_are_kept_when_asked(self):
        result = result_of("caption", SAMPLES / "carphone_pristine.mp4", *SHORT, "--keep", "0.25", "--no-text")
        report = result["compression"][0]
        self.assertEqual(report["method"], "tome")
        self.assertLessEqual(report["tokens_out"], -(-report["tokens_in"] // 4))
        self.assertEqual(result["tokens"]["visual_out"], report["tokens_out"])
        self.assertEqual(result["audio"], "absent")

    def test_a_caption_obeys_a_json_schema(self):
        schema = json.dumps({"properties": {"moves": {"type": "boolean"}, "count": {"enum": [0, 1, 2]}},
                             "required": ["moves", "count"]})
        result = result_of("caption", SAMPLES / "carphone_pristine.mp4", "--frames", "1", "--no-text",
                           "--json-schema", schema)
        answer = json.loads(result["text"])
        self.assertEqual(list(answer), ["moves", "count"])
        self.assertIsInstance(answer["moves"], bool)
        self.assertIn(answer["count"], [0, 1, 2])

    def test_a_budget_of_visual_tokens_is_kept_and_foreseen(self):
        films = [SAMPLES / "carphone_pristine.mp4", SAMPLES / "bikes.mp4"]
        arguments = ("caption", *films, "--max-tokens", "1", "--no-text", "--no-audio", "--visual-tokens", "150")
        plan = result_of(*arguments, "--dry-run")
        self.assertLessEqual(plan["tokens_out"], 150)
        self.assertEqual(plan["tokens_out"], sum(source["tokens_out"] for source in plan["sources"]))
        self.assertEqual(plan["refusal"], "")
        self.assertGreater(plan["context_bytes"], 0)
        result = result_of(*arguments)
        self.assertEqual(result["tokens"]["visual_in"], plan["tokens_in"])
        self.assertEqual(result["tokens"]["visual_out"], plan["tokens_out"])
        self.assertEqual(len(result["sampling"]), sum(source["frames"] for source in plan["sources"]))

    def test_a_budget_makes_the_picture_smaller_that_has_the_most_tiles(self):
        with tempfile.TemporaryDirectory() as folder:
            wide, small = Path(folder) / "wide.png", Path(folder) / "small.png"
            for path, size in (wide, "128x32"), (small, "30x20"):  # four tiles and none, beside the whole picture
                ffmpeg("-f", "lavfi", "-i", f"color=white:{size}:d=1,format=rgb24", "-frames:v", "1", path)
            model = Path(__file__).parents[1] / "data" / "whole" / "tiny_leopard"
            arguments = ("caption", wide, small, "--model", model, "--max-tokens", "1", "--no-text", "--visual-tokens", "20")
            plan, result = result_of(*arguments, "--dry-run"), result_of(*arguments)
        self.assertEqual(plan["compression"], [{"method": "tome", "params": {"keep": "1"}}])
        self.assertEqual([source["longest_side"] for source in plan["sources"]], [96, 0])
        self.assertEqual((plan["tokens_out"], result["tokens"]["visual_out"]), (20, 20))

    def test_a_dry_run_says_what_the_run_then_does(self):
        film = SAMPLES / "carphone_pristine.mp4"
        for compressor in ("tome:keep=0.3", "uniform:tokens=7", "pool:keep=0.25+tome:keep=0.5", "flashvid:keep=0.2"):
            arguments = ("caption", film, *SHORT, "--no-text", "--compressor", compressor)
            plan, result = result_of(*arguments, "--dry-run"), result_of(*arguments)
            self.assertEqual(plan["tokens_in"], result["tokens"]["visual_in"])
            self.assertGreater(plan["encode_ms"], 0)
            self.assertGreater(plan["compress_ms"], 0)
            if "flashvid" not in compressor:
                self.assertEqual(plan["tokens_out"], result["tokens"]["visual_out"])

    def test_a_list_of_compressors_reports_each(self):
        result = result_of("caption", SAMPLES / "carphone_pristine.mp4", *SHORT, "--no-text", "--compressor",
                           "tome:keep=0.5,at=tokens+holitom:keep=0.2", "--compressor", "uniform:keep=0.5")
        reports = result["compression"]
        self.assertEqual([report["method"] for report in reports], ["tome", "holitom", "uniform"])
        for before, after in zip(reports, reports[1:]):
            self.assertEqual(before["tokens_out"], after["tokens_in"])
        self.assertEqual(result["tokens"]["visual_out"], reports[-1]["tokens_out"])

    def test_the_same_call_gives_the_same_answer(self):
        arguments = ("caption", SAMPLES / "carphone_pristine.mp4", *SHORT, "--temperature", "0.8", "--seed", "7")
        self.assertEqual(result_of(*arguments)["text"], result_of(*arguments)["text"])


class TranscribeTest(unittest.TestCase):
    def test_every_format_holds_the_words(self):
        sample = SAMPLES / "sample.mp4"
        words = result_of("transcribe", sample)["text"].split()
        self.assertGreater(len(words), 5)
        for form in ("text", "srt", "vtt"):
            status, output, errors = run("transcribe", sample, "--format", form)
            self.assertEqual(status, 0, errors)
            self.assertIn(words[0], output)
            self.assertEqual("-->" in output, form != "text")

    def test_the_output_file_is_whole_or_not_there(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "a.srt"
            status, output, errors = run("transcribe", SAMPLES / "sample.mp4", "--format", "srt", "--out", out)
            self.assertEqual((status, output), (0, ""), errors)
            self.assertTrue(out.read_text().startswith("1\n00:00:0"))
            self.assertEqual(os.listdir(folder), ["a.srt"])
            status, _, errors = run("transcribe", SAMPLES / "bikes.mp4", "--out", Path(folder) / "none.txt")
            self.assertEqual(status, 1)
            self.assertEqual(os.listdir(folder), ["a.srt"])


INVOICE = ((20, 170, "Northwind"), (20, 120, "Date"), (200, 120, "3 May"), (20, 80, "Total"), (200, 80, "42.50"))
LOCKED = (b"/Encrypt << /Filter /Standard /V 1 /R 2 /O (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)"
          b" /U (bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) /P -4 >> /ID [(0123456789abcdef) (0123456789abcdef)]")


class AskTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.invoice = self.folder / "invoice.pdf"
        self.invoice.write_bytes(pdf(*INVOICE))

    def test_a_pdf_is_answered_with_the_place_of_the_answer(self):
        result = result_of("ask", self.invoice, "--question", "What is the total?")
        self.assertEqual((result["task"], result["text"]), ("ask", "42.50"))
        self.assertEqual(result["sources"][0], {"path": str(self.invoice), "kind": "document", "width": 300,
                                                "height": 200, "pages": 1})
        evidence, = result["evidence"]
        self.assertEqual((evidence["source"], evidence["kind"], evidence["page"], evidence["quote"]),
                         (0, "box", 1, "42.50"))
        for edge, expected in zip(evidence["box"], (200 / 300, 108 / 200, 233 / 300, 124 / 200)):
            self.assertAlmostEqual(edge, expected, delta=0.02)
        status, output, errors = run("ask", self.invoice, "--question", "What is the date?")
        self.assertEqual((status, output), (0, f"3 May\n\n{self.invoice}, page 1: 3 May\n"), errors)

    def test_what_is_not_there_is_not_found(self):
        result = result_of("ask", self.invoice, "--question", "What is the flight number?")
        self.assertEqual((result["text"], result["evidence"]), ("not found", []))

    def test_a_question_in_another_language_gets_no_evidence_for_what_is_not_there(self):
        result = result_of("ask", self.invoice, "--question", "Wie hoch ist die Rechnung?")
        self.assertTrue(result["text"])  # nano knows English alone
        self.assertEqual(result["evidence"], [])

    def test_a_picture_of_a_page_is_read_whichever_way_it_lies(self):
        for turn, filters in (("up", ""), ("side", ",transpose=1"), ("down", ",hflip,vflip")):
            path = self.folder / f"{turn}.png"
            writing = "".join(f",drawtext=font='DejaVu Sans':text='{text}':fontsize=40:x={2 * x}:y={400 - 2 * y}"
                              for x, y, text in INVOICE)
            ffmpeg("-f", "lavfi", "-i", "color=white:600x400:d=1,format=rgb24" + writing + filters, "-frames:v", "1", path)
            result = result_of("ask", path, "--question", "What is the total?")
            self.assertEqual(result["text"], "42.50", turn)
            self.assertNotIn("page", result["evidence"][0])

    def test_a_picture_has_places_and_no_times(self):
        picture = self.folder / "grey.png"
        ffmpeg("-f", "lavfi", "-i", "color=gray:64x48:d=1,format=rgb24", "-frames:v", "1", picture)
        status, output, errors = run("ask", picture, "--question", "On which side is the car?", "--no-text")
        self.assertEqual(status, 0, errors)
        box = r"box [01]\.\d\d [01]\.\d\d [01]\.\d\d [01]\.\d\d"
        self.assertRegex(output, rf"^.+\n(\n{re.escape(str(picture))}, {box}\n)?$")

    def test_a_film_is_answered_with_times(self):
        result = result_of("ask", SAMPLES / "sample.mp4", "--question", "Where do people ride?", *SHORT)
        self.assertTrue(result["text"])
        self.assertEqual(result["audio"], "used")
        for evidence in result["evidence"]:
            self.assertLessEqual(evidence["start"], evidence["end"])


def png_header(width, height):
    """A PNG that says its size and has no pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


class BadInputTest(unittest.TestCase):
    """Each ends in one clear line and the right exit status."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def check_refused(self, *arguments, status=1, says=()):
        got, output, errors = run(*arguments)
        lines = [line for line in errors.splitlines() if not PROGRESS.fullmatch(line)]
        self.assertEqual((got, output), (status, ""), errors)
        self.assertEqual(len(lines), 1, errors)
        for text in says:
            self.assertIn(text, lines[0])

    def written(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_wrong_use_exits_with_two(self):
        self.check_refused("caption", "--no-such-flag", status=2, says=["--no-such-flag"])
        self.check_refused("paint", status=2)
        self.check_refused(status=2)
        self.check_refused("transcribe", status=2, says=["FILE"])
        self.check_refused("caption", "--frames", "0", status=2)
        self.check_refused("caption", "--frames", "2", "--fps", "1", status=2)

    def test_a_file_that_is_not_there(self):
        self.check_refused("caption", self.folder / "none.mp4", says=["none.mp4"])

    def test_files_that_hold_no_media(self):
        for name, data in (("empty.mp4", b""), ("text.mp4", b"not a film at all\n" * 99), ("zero.mp4", bytes(4096))):
            with self.subTest(name):
                self.check_refused("caption", self.written(name, data), says=[name])

    def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(self):
        path = self.written("huge.png", png_header(60000, 60000))
        self.check_refused("caption", path, says=["huge.png", "60000"])

    def test_a_sound_file_is_told_by_its_words(self):
        path = self.folder / "sound.wav"
        ffmpeg("-i", SAMPLES / "sample.mp4", "-vn", path)
        result = result_of("caption", path, *SHORT)
        self.assertEqual(result["audio"], "used")
        self.assertTrue(any("no pictures" in warning for warning in result["warnings"]), result["warnings"])

    def test_a_film_without_sound_has_no_transcript(self):
        self.check_refused("transcribe", SAMPLES / "bikes.mp4", says=["bikes.mp4", "audio"])

    def test_a_truncated_film_is_used_as_far_as_it_goes(self):
        whole = self.folder / "whole.mkv"
        ffmpeg("-i", SAMPLES / "bikes.mp4", "-c", "copy", whole)
        data = whole.read_bytes()
        result = result_of("caption", self.written("cut.mkv", data[:len(data) // 2]), *SHORT, "--no-text")
        self.assertTrue(result["sampling"])

    def test_documents_that_cannot_be_read(self):
        good = pdf(*INVOICE)
        for name, data, says in (("locked.pdf", pdf(trailer=LOCKED), "without a password"),
                                 ("cut.pdf", good[:len(good) // 2], "cannot be read"),
                                 ("head.pdf", b"%PDF-1.7\n", "cannot be read")):
            self.check_refused("ask", self.written(name, data), "--question", "What?", says=[name, says])
        path = self.written("good.pdf", good)
        self.check_refused("ask", path, "--question", " ", says=["question", "words"])
        self.check_refused("ask", path, status=2, says=["--question"])
        self.check_refused("caption", path, says=["good.pdf", "document"])
        status, output, errors = run("ask", self.written("blank.pdf", pdf()), "--question", "What is it?",
                                     "--max-tokens", "2")
        self.assertEqual(status, 0, errors)
        self.assertIn("no text on page 1", errors)

    def test_a_rig_whose_views_are_not_there(self):
        film = SAMPLES / "carphone_pristine.mp4"
        self.check_refused("risk", f"front={film}", f"rear={self.folder}/none.mp4", says=["none.mp4"])
        self.check_refused("risk", f"front={film}", f"inside={film}", says=["view 'inside'", "front left"])
        self.check_refused("risk", film, status=2, says=["expected a view and a file"])
        self.check_refused("risk", status=2, says=["VIEW=FILE"])

    def test_a_clip_of_one_frame_and_black_cameras(self):
        film, one, black = (self.folder / f"{name}.mkv" for name in ("film", "one", "black"))
        ffmpeg("-i", SAMPLES / "carphone_pristine.mp4", "-t", "1", "-c:v", "ffv1", film)
        ffmpeg("-i", film, "-frames:v", "1", "-c:v", "ffv1", one)
        ffmpeg("-f", "lavfi", "-i", "color=black:64x48:d=1", "-c:v", "ffv1", black)
        result = result_of("caption", one, "--max-tokens", "8", "--no-text")
        self.assertEqual(len(result["sampling"]), 1)
        self.assertTrue(result["text"])
        self.assertTrue(result_of("ask", one, "--question", "What is shown?", "--max-tokens", "8")["text"])
        result = result_of("risk", f"front={one}")
        self.assertEqual(result["warnings"], ["view front: one picture, so that no motion is seen"])
        self.assertIn(result["risk"]["level"], ("low", "medium", "high"))
        result = result_of("risk", f"front={film}", f"rear={black}")
        self.assertEqual(result["warnings"], ["view rear: black, so that nothing is seen there"])
        self.check_refused("risk", f"front={black}", says=["black pictures alone"])

    def test_models_and_compressors_that_do_not_exist(self):
        clip = SAMPLES / "carphone_pristine.mp4"
        self.check_refused("caption", clip, "--model", "/no/such/model", says=["/no/such/model", "nano"])
        self.check_refused("caption", clip, "--compressor", "magic", says=["magic", "tome"])
        self.check_refused("caption", clip, "--compressor", "tome:kep=1", says=["kep", "keep"])
        self.check_refused("caption", clip, "--compressor", "tome:keep=nan", says=["tome.keep", "more than 0"])
        self.check_refused("caption", clip, "--compressor", "flashvid:keep=x", says=["flashvid.keep", "a number"])
        self.check_refused("caption", clip, "--compressor", "tome++pool", says=["tome++pool"])
        self.check_refused("caption", clip, clip, clip, "--visual-tokens", "2", says=["visual tokens", "at least"])
        self.check_refused("caption", clip, "--visual-tokens", "9", "--compressor", "holitom", says=["holitom", "tome"])
        self.check_refused("caption", clip, "--dry-run", "--scenes", "0.3", says=["headers do not tell"])
        self.check_refused("caption", clip, "--compressor", "visionzip:keep=0.5", says=["visionzip", "attends"])

    def test_json_schemas_that_cannot_be_obeyed(self):
        clip = SAMPLES / "carphone_pristine.mp4"
        for schema, says in (('{"enum": []}', "enum"), ("{", "expected JSON"), ('{"not": {}}', "'not'")):
            self.check_refused("caption", clip, "--json-schema", schema, says=["json_schema", says])
        path = self.written("schema.json", b'{"type": "text"}')
        self.check_refused("caption", clip, "--json-schema", path, says=["json_schema: #: type"])
        self.check_refused("caption", clip, "--json-schema", self.folder / "none", status=2, says=["none"])
        self.check_refused("caption", clip, "--json-schema", "{}", "--stop", ".", status=2, says=["--stop"])

    def test_an_upstream_that_nobody_serves(self):
        self.check_refused("caption", SAMPLES / "carphone_pristine.mp4", "--upstream", "encode=127.0.0.1:1",
                           "--no-audio", says=["encode", "127.0.0.1:1"])


class BenchTest(unittest.TestCase):
    def test_methods_that_compress_are_compared_with_all_tokens(self):
        status, output, errors = run("bench", "compress", "--input", SAMPLES / "carphone_pristine.mp4", "--frames", "2",
                                     "--methods", "uniform", "tome:at=tokens", "--keep", "1,0.25", "--new-tokens", "4",
                                     "--repeat", "1")
        self.assertEqual(status, 0, errors)
        lines = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([(line["method"], line["keep"]) for line in lines],
                         [("keep_all", 1), ("uniform", 1), ("uniform", 0.25), ("tome", 1), ("tome", 0.25)])
        whole = lines[0]
        for line in lines:
            self.assertAlmostEqual(line["ttft_ms"], line["encode_ms"] + line["compress_ms"] + line["prefill_ms"], 3)
            self.assertEqual(line["tokens_in"], whole["tokens_in"])
            if line["keep"] == 1:
                self.assertEqual((line["kl"], line["top1"], line["tokens_out"]), (0, 1, line["tokens_in"]))
            else:
                self.assertEqual(line["tokens_out"], line["tokens_in"] // 2 // 4 * 2)
                self.assertLess(line["kv_bytes"], whole["kv_bytes"])
                self.assertGreater(line["kl"], 0)
                self.assertLess(line["fidelity"], 1)

    def test_methods_are_compared_on_shapes_of_random_weights(self):
        status, output, errors = run("bench", "compress-random", "--frames", "4", "--methods", "tome", "flashvid", "--keep", "1,0.25",
                                     "--new-tokens", "4", "--repeat", "1", "--text-tokens", "10")
        self.assertEqual(status, 0, errors)
        lines = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([(line["method"], line["keep"]) for line in lines],
                         [("keep_all", 1), ("tome", 1), ("tome", 0.25), ("flashvid", 1), ("flashvid", 0.25)])
        for line in lines:
            self.assertEqual((line["tokens_in"], line["prompt_tokens"]), (4 * 16, line["tokens_out"] + 10))
            if line["keep"] == 1:
                self.assertEqual((line["kl"], line["top1"], line["tokens_out"]), (0, 1, 4 * 16))
            else:
                self.assertLessEqual(line["tokens_out"], 4 * 16 / 2)

    def test_clips_are_timed_from_file_to_answer(self):
        for model, text_tokens in (("random:tiny-seeing", 64), ("nano", None)):
            status, output, errors = run("bench", "clips", "--input", SAMPLES / "carphone_pristine.mp4", "--model", model, "--frames", "2",
                                         "--keep", "0.25", "--clips", "3", "--together", "2", "--new-tokens", "4")
            self.assertEqual(status, 0, errors)
            line = json.loads(output)
            self.assertEqual((line["bench"], line["model"], line["clips"], line["together"]), ("clips", model, 3, 2))
            self.assertLess(line["tokens_out"], line["tokens_in"])
            if text_tokens is not None:
                self.assertEqual(line["prompt_tokens"], line["tokens_out"] + text_tokens)
            self.assertGreater(line["clips_per_hour"], 0)
            self.assertAlmostEqual(sum(line[f"{stage}_share"] for stage in STAGES if stage != "listen"), 1, 6)

    def test_clips_that_cannot_be_timed_are_refused(self):
        for model, flags, says in (("random:huge", (), "tiny-seeing"), ("random:tiny-seeing", ("--method", "magic"), "magic"),
                                   ("random:tiny-seeing", ("--input", "no/such/film"), "no/such/film")):
            status, output, errors = run("bench", "clips", "--model", model, *flags)
            self.assertEqual((status, output), (1, ""))
            self.assertEqual(len(errors.splitlines()), 1, errors)
            self.assertIn(says, errors)

    def test_films_are_decoded_side_by_side(self):
        status, output, errors = run("bench", "decode", "--input", SAMPLES / "carphone_pristine.mp4", "--sessions", "1,3",
                                     "--repeat", "1")
        self.assertEqual(status, 0, errors)
        lines = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([(line["sessions"], line["threads"]) for line in lines], [(1, 1), (3, 1)])
        for line in lines:
            self.assertEqual((line["codec"], line["frames"]), ("h264", 120))
            self.assertGreater(line["frames_per_second"], 0)
            self.assertGreater(line["cores_busy"], 0)

    def test_what_cannot_be_decoded_is_refused(self):
        for flags, code, says in ((("--device", "cuda"), 1, "cuda"), (("--device", "gpu"), 1, "expected cpu, cuda"),
                                  (("--input", "no/such/film"), 1, "no/such/film"),
                                  (("--sessions", "0"), 2, "--sessions"), (("--input", __file__), 1, "commands_test.py")):
            status, output, errors = run("bench", "decode", *flags)
            self.assertEqual((status, output), (code, ""))
            self.assertEqual(len(errors.splitlines()), 1, errors)
            self.assertIn(says, errors)

    def test_what_cannot_be_compared_is_refused(self):
        for flags, says in ((("--methods", "tome:keep=0.5"), "without keep"), (("--methods", "magic"), "magic"),
                            (("--methods", "visionzip", "--keep", "0.5"), "visionzip")):
            status, _, errors = run("bench", "compress", "--frames", "1", "--new-tokens", "1", *flags)
            self.assertEqual(status, 1)
            self.assertIn(says, errors.splitlines()[-1])


class EvaluateTest(unittest.TestCase):
    def test_wrong_parts_views_and_shares_are_refused(self):
        for flag, value in (("--tasks", "songs"), ("--views", "4"), ("--keep", "0"), ("--items", "0"), ("--seed", "x")):
            status, _, errors = run("evaluate", "nano", flag, value)
            self.assertEqual(status, 2, flag)
            self.assertRegex(errors, rf"^longview: {flag}: .*{value}.*\n$")

    def test_seeds_that_train_are_refused(self):
        status, _, errors = run("evaluate", "nano", "--seed", "999999")
        self.assertEqual(status, 2)
        self.assertRegex(errors, r"^longview: --seed: Value 999999 not in range 1000000 .*\n$")

    def test_what_it_draws_with_is_asked_for_in_a_line(self):
        status, _, errors = run("evaluate", "nano", "--assets", "no/such/folder")
        self.assertEqual(status, 1)
        self.assertRegex(errors, r"^longview: recipe: .*(python3 -m recipe prepare|apt-get install -y python3-numpy python3-pil).*\n$")


class ModelsTest(unittest.TestCase):
    def test_models_are_listed_with_what_is_on_disk(self):
        status, output, errors = run("models", "--json")
        self.assertEqual(status, 0, errors)
        cards = {card["name"]: card for card in json.loads(output)}
        self.assertTrue(cards["nano"]["on_disk"])
        self.assertGreater(cards["nano"]["bytes"], 100e6)

    def test_a_model_is_checked_from_its_headers(self):
        data = Path(__file__).parents[1] / "data"
        status, output, errors = run("models", "check", "--json", data / "whole" / "tiny_smolvlm")
        self.assertEqual(status, 0, errors)
        report = json.loads(output)
        self.assertTrue(report["loads"])
        self.assertIn("image encoder", [part["part"] for part in report["parts"]])
        status, output, _ = run("models", "check", data / "whole" / "tiny_smolvlm", data / "none")
        self.assertEqual(status, 1)
        self.assertIn("no such file", output)

    def test_devices_and_types_that_are_not_there(self):
        for flags, says in ((("--device", "tpu"), "cpu, cuda or cuda:N"), (("--dtype", "int8"), "bfloat16"),
                            (("--dtype", "float16"), "float16"), (("--device", "cuda:99"), "cuda:99")):
            status, _, errors = run("caption", "none.mp4", *flags)
            self.assertEqual(status, 1)
            self.assertIn(says, errors)
            self.assertEqual(len(errors.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
