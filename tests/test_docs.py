"""Every block of code in the documentation runs: as a doctest, or here, or it says why it does not."""

import argparse
import re
import shlex
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md")),
]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", flags=re.MULTILINE | re.DOTALL)
NOT_RUN = {  # the page, and what a block imports: the reason
    ("docs/datasets.md", "skal.datasets"): "needs the files of data sets",
    ("docs/project/comparison.md", "modAL.models"): "needs scikit-learn 1.7",
    ("docs/labelling.md", "skal.campaign.label_studio"): "needs a server, as tests/full has",
    (
        "docs/write_your_own_strategy.md",
        "skal.testing",
    ): "tests/testing/test_strategy.py checks it, in a module",
}
PEERS = "skactiveml", "small_text", "baal"  # whose loops run where they are installed
INSTALLS = ("pip install ", "python -m venv ", "pytest")


def _blocks(language):
    for page in PAGES:
        for found, code in BLOCK.findall(page.read_text()):
            if found == language:
                yield page.relative_to(ROOT).as_posix(), code


def _imported(code):
    return re.findall(r"^(?:from|import) ([\w.]+)", code, flags=re.MULTILINE)


PROGRAMS = [(page, code) for page, code in _blocks("python") if not code.lstrip().startswith(">>> ")]
COMMANDS = [(page, line) for page, code in _blocks("bash") for line in code.splitlines() if line]


@pytest.mark.parametrize(
    ("page", "code"), PROGRAMS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(PROGRAMS)]
)
def test_what_is_no_doctest_runs_or_is_excused(page, code):
    program, imported = compile(code, page, "exec"), _imported(code)
    if any((page, name) in NOT_RUN for name in imported):
        return
    with warnings.catch_warnings():
        for peer in {name.partition(".")[0] for name in imported} & set(PEERS):
            pytest.importorskip(peer)
            warnings.simplefilter("ignore")  # theirs
        exec(program, {})


def test_no_excuse_is_left_over():
    assert set(NOT_RUN) <= {(page, name) for page, code in PROGRAMS for name in _imported(code)}


def test_code_has_a_language():
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", page.read_text(), flags=re.MULTILINE)
        opened = {fence for fence in fences[::2] if not fence.startswith("{")}
        assert opened <= {"python", "bash", "text"}, page
        assert set(fences[1::2]) <= {""}, page


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_are_those_that_there_are(page, line):
    program, *arguments = shlex.split(line, comments=True)
    if program == "python" and arguments[0].endswith(".py"):
        script = ROOT / arguments[0]
        sources = "".join(path.read_text() for path in script.parent.glob("*.py"))
        options = [each for each in arguments if each.startswith("--") and each != "--help"]
        assert script.is_file()
        assert [each for each in options if f'"{each}"' not in sources] == []
    elif program == "skal":
        command = pytest.importorskip("skal.campaign.page.command")
        parser = argparse.ArgumentParser(exit_on_error=False)
        command.add_arguments(parser)
        assert parser.parse_args(arguments[1:]).classes == ["cat", "dog"]
    else:
        assert line.startswith(INSTALLS), "a command that nobody has looked at"
