"""The layer check passes on this tree and fails on each kind of wrong include."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECK = [sys.executable, "-B", ROOT / "cmake" / "check_layers.py"]


def check(files):
    """Runs the check over a tree of {path: text}; returns its status and standard error."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        answer = subprocess.run([*CHECK, folder], capture_output=True, text=True)
        return answer.returncode, answer.stderr


class CheckLayers(unittest.TestCase):
    def test_this_tree_is_clean(self):
        answer = subprocess.run(CHECK, capture_output=True, text=True)
        self.assertEqual(answer.returncode, 0, answer.stderr)

    def test_downward_includes_pass(self):
        status, errors = check({
            "pipeline/base/error.h": "#include <string>\n",
            "vision/encoders/a.cpp": '#include "vision/encoders/a.h"\n#include "pipeline/base/error.h"\n',
            "services/rpc/serve.h": '#include "longview/v1/types.pb.h"\n#include <grpcpp/grpcpp.h>\n'
                                    '#include "llm/models/a.h"\n',
            "apps/main.cpp": '#include "services/tasks/a.h"\n#include "vision/encoders/a.h"\n',
        })
        self.assertEqual((status, errors), (0, ""))

    def test_each_wrong_include_is_named(self):
        wrong = {
            ("pipeline/base/a.h", '#include "vision/encoders/a.h"'): "pipeline must not include vision",
            ("vision/decode/a.cpp", '#include "llm/models/a.h"'): "vision must not include llm",
            ("audio/decode/a.cpp", '#  include "vision/decode/a.h"'): "audio must not include vision",
            ("llm/kv/a.cu", '#include "audio/features/a.h"'): "llm must not include audio",
            ("llm/kv/b.cpp", '#include "services/rpc/a.h"'): "llm must not include services",
            ("services/rpc/a.h", '#include "apps/a.h"'): "services must not include apps",
            ("apps/a.cpp", '#include "tests/support/a.h"'): "apps must not include tests",
            ("apps/b.cpp", '#include "longview/v1/types.pb.h"'): "apps must not know the wire",
            ("vision/encoders/b.h", "#include <grpcpp/grpcpp.h>"): "vision must not know the wire",
            ("vision/encoders/c.h", '#include "../../llm/a.h"'): "from the repository's root",
            ("vision/encoders/d.h", '#include "d_parts.h"'): "from the repository's root",
            ("llm/models/a.cpp", "#include <torch/torch.h>"): "parsing it takes 19 s",
            ("vision/encoders/e.h", "#include <llm/models/a.h>"): "vision must not include llm",
        }
        for (path, line), why in wrong.items():
            with self.subTest(path=path, line=line):
                status, errors = check({path: f"// first\n{line}\n"})
                self.assertEqual(status, 1)
                self.assertIn(f"{path}:2:", errors)
                self.assertIn(why, errors)

    def test_an_empty_tree_is_a_fault(self):
        self.assertEqual(check({})[0], 1)


if __name__ == "__main__":
    unittest.main()
