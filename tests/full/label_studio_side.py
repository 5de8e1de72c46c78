"""The campaign's side of a test against a real Label Studio, in a process of its own that may be killed.

``python -m tests.full.label_studio_side FOLDER URL TOKEN``, where FOLDER has `images` and `labels.npy`.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.campaign import Campaign
from skal.campaign.label_studio import LabelStudio
from skal.strategies import CoreSet, UncertaintySampling


def main(folder, url, token):
    items = sorted((folder / "images").glob("*.png"))
    X = np.stack([np.asarray(Image.open(path)).ravel() / 255 for path in items])
    if (folder / "campaign" / "journal.sqlite").exists():
        campaign = Campaign.open(folder / "campaign", X, items=items)
    else:
        learner = ActiveLearner(
            LogisticRegression(max_iter=200),
            UncertaintySampling("margin"),
            cold_start=CoreSet(),
            random_state=0,
        )
        campaign = Campaign(folder / "campaign", learner, X, items=items, classes=range(10), retrain_every=20)
    with campaign, LabelStudio(campaign, url, token, title="Digits") as tool:
        tool.run(interval=0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
