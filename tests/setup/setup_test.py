"""./longview installs, builds and runs; is quiet when there is nothing to do; survives interruption."""

import os
import random
import signal
import tempfile
import time
import unittest

from small_checkout import SmallCheckout

WANTED = {
    "libtorch/include/a/b.h": b"// b", "libtorch/lib/libc10.so": b"c10" * 100_000,
    "models/efficientnet-lite0/efficientnet-lite0.pth": b"pth",
    "models/efficientnet-lite0/model.safetensors": b"pth",
    "samples/bikes.mp4": b"mp4", "samples/sample.mp4": b"mp4",
    "source/cpp/a.cc": b"// a",
}
RAN = 3   # the stand-in program's exit status
NOBODY = 65534


class SmallCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.small = SmallCheckout(folder.name)


class SetupTest(SmallCase):
    def test_first_call_installs_builds_and_runs(self):
        status, output, errors = self.small.call("caption", "a b.mp4", "--json")
        self.assertEqual((status, output), (RAN, "arg=caption\narg=a b.mp4\narg=--json\n"), errors)
        self.assertEqual(self.small.files(), WANTED)
        self.assertEqual([line for line in self.small.calls() if line.startswith("cmake")],
                         ["cmake --fresh --preset cpu"])
        self.assertEqual(sorted(path.name for path in self.small.base.iterdir()),
                         ["a checkout", "tools", "wheels"], "something was written outside")

    def test_second_call_only_asks_ninja(self):
        self.small.seed()
        self.small.call()
        self.small.calls()
        status, output, errors = self.small.call("models")
        self.assertEqual((status, output, errors), (RAN, "arg=models\n", ""))
        self.assertEqual([line.split()[0] for line in self.small.calls()], ["ninja"])

    def test_runs_through_a_link_from_any_folder(self):
        self.small.seed()
        link = self.small.base / "link to it"
        link.symlink_to(self.small.root / "longview")
        status, output, errors = self.small.call("models", program=link, cwd=self.small.base)
        self.assertEqual((status, output), (RAN, "arg=models\n"), errors)

    def test_changed_entry_is_unpacked_again_and_its_old_files_go(self):
        self.small.call()
        self.small.write_lock(skip=[], unpack={"torch/include/": "libtorch/include/"})
        status, _, errors = self.small.call()
        self.assertEqual(status, RAN, errors)
        files = self.small.files()
        self.assertIn("libtorch/include/google/old.h", files)
        self.assertNotIn("libtorch/lib/libc10.so", files)

    def test_deleted_file_comes_back(self):
        self.small.call()
        (self.small.root / ".deps/libtorch/lib/libc10.so").unlink()
        (self.small.root / ".deps/samples/sample.mp4").unlink()
        self.small.call()
        self.assertEqual(self.small.files(), WANTED)

    def test_wrong_hash_is_named(self):
        self.small.write_lock(sha256="0" * 64)
        status, output, errors = self.small.call()
        self.assertEqual((status, output), (1, ""))
        self.assertRegex(errors, r"small_torch-1.0-py3-none-any.whl: expected SHA-256 0{64}, got [0-9a-f]{64}")
        self.assertNotIn("Traceback", errors)
        self.assertEqual(self.small.files().keys() - {"tmp/download/wanted.txt"}, set())

    def test_damaged_kept_download_is_fetched_again(self):
        downloads = self.small.root / ".deps/downloads"
        downloads.mkdir(parents=True)
        (downloads / "small_torch-1.0-py3-none-any.whl").write_bytes(b"half")
        self.assertEqual(self.small.call()[0], RAN)
        self.assertEqual(self.small.files(), WANTED)

    def test_no_network_is_said(self):
        status, _, errors = self.small.call(
            PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/simple")
        self.assertEqual(status, 1)
        self.assertIn("cannot download small_torch-1.0-py3-none-any.whl: the package index cannot be"
                      " reached", errors)
        self.assertEqual(self.small.call()[0], RAN)

    def test_build_failure_shows_the_error_and_the_log(self):
        self.small.seed()
        (self.small.base / "broken").touch()
        status, output, errors = self.small.call("caption", "--json")
        self.assertEqual((status, output), (1, ""))
        self.assertIn("a.cpp:1: error: no", errors)
        self.assertIn("build-cpu.log", errors)
        (self.small.base / "broken").unlink()
        self.assertEqual(self.small.call()[0], RAN)

    def test_moved_checkout_is_configured_anew(self):
        self.small.seed()
        self.small.call()
        moved = self.small.base / "moved"
        self.small.root.rename(moved)
        self.small.root.symlink_to(moved)   # the stand-in tools look there
        self.small.calls()
        self.assertEqual(self.small.call(program=moved / "longview")[0], RAN)
        self.assertIn("cmake --fresh --preset cpu", self.small.calls())

    def test_unknown_preset_is_said(self):
        status, _, errors = self.small.call(LV_PRESET="cpux")
        self.assertEqual(status, 1)
        self.assertIn("LV_PRESET: expected asan, core, cpu, cuda, fuzz or tsan, got cpux", errors)

    def test_two_calls_at_once_build_one_after_the_other(self):
        calls = [self.small.start(str(i)) for i in range(3)]
        ends = [(call.communicate(timeout=60), call.returncode) for call in calls]
        self.assertEqual([(output, status) for (output, _), status in ends],
                         [(f"arg={i}\n", RAN) for i in range(3)], ends)
        self.assertEqual(sum("waiting for it" in errors for (_, errors), _ in ends), 2, ends)
        self.assertEqual(sum("downloading small-torch" in errors for (_, errors), _ in ends), 1)

    def test_interrupted_anywhere_the_next_call_goes_on(self):
        dice = random.Random(7)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL) * 2:
            process = self.small.start()
            while not (self.small.root / "build" / "lock").exists():
                time.sleep(0.01)
            time.sleep(dice.uniform(0.1, 1.2))
            if dice.random() < 0.5:
                process.send_signal(number)          # the script alone
            else:
                os.killpg(process.pid, number)       # and its children, as a terminal does
            _, errors = process.communicate(timeout=60)
            self.assertNotIn("Traceback", errors)
        time.sleep(0.5)                              # a stand-in for ninja that lived on has ended
        if (self.small.base / "building").exists():  # and one that was killed left its mark
            (self.small.base / "building").rmdir()
        status, _, errors = self.small.call()
        self.assertEqual(status, RAN, errors)
        self.assertEqual(self.small.files(), WANTED)


class PackagesTest(SmallCase):
    """Missing Debian packages, with and without root."""

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_installs_in_one_call(self):
        self.small.miss("g++", "ffmpeg")
        status, _, errors = self.small.call()
        self.assertEqual(status, RAN, errors)
        installs = [line for line in self.small.calls() if "apt-get install" in line]
        self.assertEqual(len(installs), 1)
        self.assertTrue(installs[0].endswith(" g++ ffmpeg"), installs)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_apt_failure_is_said(self):
        self.small.seed()
        self.small.miss("g++")
        for said, expected in (("E: broken packages", "apt-get install failed\n"),
                               ("E: Temporary failure resolving 'a'", "mirror cannot be reached\n")):
            (self.small.base / "apt-fails").write_text(said)
            status, _, errors = self.small.call()
            self.assertEqual(status, 1)
            self.assertIn(expected, errors)
            self.assertIn("packages.log", errors)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_without_root_the_command_is_printed(self):
        self.small.seed()
        self.small.miss("g++")
        for path in (self.small.base, *self.small.base.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        status, output, errors = self.small.call(user=NOBODY)
        self.assertEqual((status, output), (1, ""))
        self.assertRegex(errors, r"sudo sh -c '.*apt-get install -y --no-install-recommends g\+\+'\n")
        self.assertFalse([line for line in self.small.calls() if line.startswith("apt-get")])
        (self.small.base / "missing" / "g++").unlink()
        status, output, errors = self.small.call("x", user=NOBODY)
        self.assertEqual((status, output), (RAN, "arg=x\n"), errors)


class TestCommandTest(SmallCase):
    def test_arguments_go_to_ctest(self):
        self.small.seed()
        status, output, errors = self.small.call("test", "--quick", "-R", "llm")
        self.assertEqual(status, 0, errors)
        self.assertTrue(output.endswith("100% tests passed, 0 tests failed out of 7\n"))
        (ctest,) = [line for line in self.small.calls() if line.startswith("ctest")]
        self.assertRegex(ctest, r"-LE slow(\|gpu)? -R llm$")


if __name__ == "__main__":
    unittest.main()
