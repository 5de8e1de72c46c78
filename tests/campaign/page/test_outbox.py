"""What a browser keeps until the server has it, in JavaScript: a browser itself is in ``tests/full``."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from skal.campaign import page

NODE = shutil.which("node")
OUTBOX = Path(page.__file__).with_name("static") / "outbox.js"
STORAGE = """
const kept = new Map();
globalThis.localStorage = {
  get length() { return kept.size; },
  key: (i) => [...kept.keys()][i],
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
  removeItem: (key) => kept.delete(key),
};
"""

pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node.js")


def run(tmp_path, script):
    """What a script prints, as JSON."""
    shutil.copy(OUTBOX, tmp_path / "outbox.mjs")
    (tmp_path / "test.mjs").write_text(f'import {{ Outbox }} from "./outbox.mjs";\n{STORAGE}\n{script}')
    done = subprocess.run([NODE, "test.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_answers_are_kept_in_their_order_until_they_are_removed(tmp_path):
    said = run(
        tmp_path,
        """
        const outbox = new Outbox("skal:K:anna:");
        for (let row = 0; row < 20; row++) outbox.add({ row });
        const again = new Outbox("skal:K:anna:"); // of a page that was loaded again
        again.remove(outbox.ops.slice(0, 15).map((op) => op.id));
        console.log(JSON.stringify([outbox.ops, again.ops].map((ops) => ops.map((op) => op.row))));
        """,
    )
    assert said == [[15, 16, 17, 18, 19]] * 2


def test_each_annotator_has_an_outbox(tmp_path):
    said = run(
        tmp_path,
        """
        const names = ["team", "team:anna", "team:anna:", ":", "", "100%", "é"];
        for (const name of names) new Outbox(`skal:K:${name}:`).add({ label: name });
        const labels = (name) => new Outbox(`skal:K:${name}:`).ops.map((op) => op.label);
        const found = names.map(labels);
        for (const name of names) {
          const outbox = new Outbox(`skal:K:${name}:`);
          outbox.remove(outbox.ops.map((op) => op.id));
        }
        console.log(JSON.stringify([names, found, localStorage.length]));
        """,
    )
    names, found, n_left = said
    assert found == [[name] for name in names]
    assert n_left == 0
