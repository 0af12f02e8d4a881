"""Runs the program that was built, and makes files for it to read."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

PROGRAM = os.environ["LONGVIEW_PROGRAM"]
CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLES = CHECKOUT / ".deps" / "samples"
SHORT = ["--frames", "2", "--max-tokens", "8"]   # enough to see that it works


def run(*arguments, timeout=300):
    """Exit status, standard output, standard error."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def result_of(*arguments):
    """What --json prints."""
    status, output, errors = run(*arguments, "--json")
    if status != 0:
        raise AssertionError(errors)
    return json.loads(output)


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def pdf(*lines, trailer=b""):
    """A PDF file of one page that says these lines, (x, y, text) each, in points from its lower left."""
    content = b"\n".join(b"BT /F1 12 Tf %d %d Td (%s) Tj ET" % (x, y, text.encode()) for x, y, text in lines)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
               b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R"
               b" /Resources << /Font << /F1 5 0 R >> >> >>",
               b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    file, table = b"%PDF-1.4\n", b""
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(file)
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    return file + b"xref\n0 6\n0000000000 65535 f \n%strailer << /Size 6 /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        table, trailer, len(file))


class Serving:
    """`longview serve` in a process of its own, on a port that it picks."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, "serve", "--address", "127.0.0.1:0", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"serving at (\S+)", line)
        if not match:
            self.stop()
            raise AssertionError(f"serve {arguments}: expected an address, got {line!r}")
        self.address = match[1]

    def stop(self, how=signal.SIGTERM):
        """Ends the process and returns its exit status."""
        self.process.send_signal(how)
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        return status
