"""Examples that start processes of their own."""

import os
import signal
import subprocess
import sys
import time
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


def test_an_interrupt_ends_all_processes(tmp_path):
    strategies = ["random", "margin", "entropy", "CoreSet", "KMedian", "BADGE", "TypiClust", "committee"]
    arguments = ["--pools", "digits", "--settings", "few", "--jobs", "2", "--strategies", *strategies]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    process = subprocess.Popen(
        [sys.executable, SCRIPT, *arguments, "--folder", tmp_path],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)
    while not list(tmp_path.glob("*.npz")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert len(list(tmp_path.glob("*.npz"))) <= 2, "the first of each process"
