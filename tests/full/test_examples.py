"""Examples that start processes of their own."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "compare_strategies.py"


def test_two_processes_compare_what_one_does(tmp_path):
    def printed(*options):
        arguments = ["--quick", "--pools", "digits", "--settings", "few", *options]
        ended = subprocess.run(
            [sys.executable, SCRIPT, *arguments], check=True, capture_output=True, text=True, cwd=tmp_path
        )
        found = ended.stdout.split("digits, few labels: 2 repeats")[1]
        return [line.split()[:-1] for line in found.splitlines()[2:5]]  # without seconds

    assert printed("--folder", "one") == printed("--folder", "two", "--jobs", "2")
