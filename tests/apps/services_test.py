"""The stages as five processes, and a caption over them."""

import signal
import subprocess
import tempfile
import threading
import time
import unittest

from program import PROGRAM, SAMPLES, SHORT, Serving, pdf, result_of, run

STAGES = ("decode", "listen", "encode", "compress", "generate")
# What may differ between two runs of the same request.
VARIES = ("timing_ms", "peak_memory_bytes", "compression")


def same(result):
    kept = {field: value for field, value in result.items() if field not in VARIES}
    kept["tokens"] = {name: count for name, count in result["tokens"].items() if name != "cached"}
    return kept


class ServicesTest(unittest.TestCase):
    def setUp(self):
        self.running = {}
        self.addCleanup(self.stop_all)

    def stop_all(self):
        for serving in self.running.values():
            serving.stop(signal.SIGKILL)

    def upstream(self):
        for stage in STAGES:
            self.running[stage] = Serving("--stage", stage)
        return ",".join(f"{stage}={serving.address}" for stage, serving in self.running.items())

    def test_five_processes_give_the_caption_of_one(self):
        upstream = self.upstream()
        arguments = ("caption", SAMPLES / "sample.mp4", *SHORT)
        here = result_of(*arguments)
        there = result_of(*arguments, "--upstream", upstream)
        self.assertEqual(same(here), same(there))
        for name, serving in list(self.running.items()):
            self.assertEqual(serving.stop(), 0, name)
            del self.running[name]

    def test_a_stage_that_is_killed_ends_the_request_with_a_clear_error(self):
        upstream = self.upstream()
        client = subprocess.Popen([PROGRAM, "caption", str(SAMPLES / "sample.mp4"), "--frames", "64",
                                   "--max-tokens", "2000", "--no-text", "--deadline", "60", "--upstream", upstream],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        killer = threading.Timer(1.5, self.running.pop("generate").stop, [signal.SIGKILL])
        killer.start()
        start = time.monotonic()
        output, errors = client.communicate(timeout=90)
        killer.join()
        self.assertLess(time.monotonic() - start, 60)
        self.assertEqual((client.returncode, output), (1, ""))
        last = errors.splitlines()[-1]
        self.assertIn("generate at", last)

    def test_one_server_captions_for_a_client_without_models(self):
        self.running["all"] = Serving()
        arguments = ("caption", SAMPLES / "sample.mp4", *SHORT)
        there = result_of(*arguments, "--server", self.running["all"].address)
        self.assertEqual(same(there), same(result_of(*arguments)))
        with tempfile.NamedTemporaryFile(suffix=".pdf") as document:
            document.write(pdf((20, 100, "Total"), (200, 100, "42.50")))
            document.flush()
            arguments = ("ask", document.name, "--question", "What is the total?")
            answer = result_of(*arguments, "--server", self.running["all"].address)
            self.assertEqual(answer["text"], "42.50")
            self.assertEqual(same(answer), same(result_of(*arguments)))
        status, _, errors = run("caption", __file__, "--server", self.running["all"].address)
        self.assertEqual(status, 1)
        self.assertIn("services_test.py", errors.splitlines()[-1])

    def test_risk_is_the_same_in_one_process_in_five_and_by_a_server(self):
        film = SAMPLES / "sample.mp4"
        arguments = ("risk", f"front={film}", f"back={film}", "--start", "1", "--end", "2")
        here = result_of(*arguments)
        self.assertIn(here["risk"]["level"], ("low", "medium", "high"))
        self.assertEqual(len(here["sources"]), 2)
        self.assertEqual(same(here), same(result_of(*arguments, "--upstream", self.upstream())))
        self.running["all"] = Serving()
        self.assertEqual(same(here), same(result_of(*arguments, "--server", self.running["all"].address)))


if __name__ == "__main__":
    unittest.main()
