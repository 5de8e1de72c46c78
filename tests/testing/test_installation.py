"""The smoke test of an installation says what works, and what does not."""

import subprocess
import sys
from importlib.metadata import metadata

from skal.testing import installation


def test_it_passes_in_a_process_of_its_own():
    result = subprocess.run(
        [sys.executable, "-m", "skal.testing"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert lines[-1] == "passed"
    assert sum(line.startswith("ok ") for line in lines) == len(installation.CHECKS)
    assert all(f"{name} " in lines[1] for name in installation.PACKAGES)


def test_a_check_that_fails_is_named_and_the_others_go_on(monkeypatch, capsys):
    def check_nothing():
        """It fails."""
        raise ValueError("what went wrong")

    monkeypatch.setattr(installation, "CHECKS", (check_nothing, installation.check_linear))
    assert not installation.check_installation()
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED  It fails." in lines
    assert "ValueError: what went wrong" in lines
    assert any(line.startswith("ok      Two rounds of a linear classifier.") for line in lines)
    assert lines[-1] == "failed: check_nothing"


def test_the_extras_are_those_of_the_metadata():
    extras = {*metadata("skal-learn").get_all("Provides-Extra")}
    assert extras - {"test", "docs", "all"} == {*installation.EXTRAS}
