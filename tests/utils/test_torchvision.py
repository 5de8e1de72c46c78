"""torchvision is imported late, and also where its operators cannot load."""

import sys

import pytest

from skal.utils.torchvision import import_torchvision
from tests.processes import run_fresh

IMPORT_TWICE = """
import sys
import skal.datasets
from skal.utils.torchvision import import_torchvision
assert not {"torchvision", "PIL"} & {*sys.modules}
try:
    import torchvision  # where its operators cannot load, this fails and leaves parts behind
except RuntimeError:
    pass
datasets = import_torchvision().datasets
assert datasets is import_torchvision().datasets is sys.modules["torchvision.datasets"]
import torchvision.models, torchvision.transforms
assert torchvision.datasets is datasets
"""


def test_torchvision_is_imported_late_and_everywhere():
    run_fresh(IMPORT_TWICE)


@pytest.mark.parametrize("error", [RuntimeError, ImportError])
def test_other_failures_of_torchvision_are_shown(monkeypatch, error):
    class Broken:
        def find_spec(self, name, *args):
            if name.startswith("torchvision"):
                raise error("broken")

    import_torchvision()  # now the operators are known
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(error, match="broken"):
        import_torchvision()
