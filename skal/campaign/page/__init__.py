"""A page to label on in the browser: images of a folder, texts, rows of a table. It needs ``skal-learn[annotate]``."""

from .app import labels_csv, make_app
from .begin import begin
from .defaults import default_learner
from .items import Items
from .reading import read_items

__all__ = ["Items", "begin", "default_learner", "labels_csv", "make_app", "read_items"]
