from functools import partial

import pytest
import torch
from sklearn.datasets import make_blobs
from torch import nn

from skal.classifiers.stages import StageRecorder, pooled
from skal.nets import MLP, VGG16BN, AllCNN, CelebACNN, LeNet, Linear, ResNet18, ResNet50, ViTSmall, WAALLeNet

from ..networks import tiny_learning_loss

X, Y = make_blobs(60, n_features=6, centers=3, cluster_std=3.0, random_state=0)


quick = partial(tiny_learning_loss, max_epochs=2)


# The stages
@pytest.mark.parametrize(
    ("net", "shape", "expected"),
    [
        (LeNet, (1, 28, 28), [(32, 28, 28), (64, 14, 14), (64, 7, 7), (1024,)]),
        (WAALLeNet, (1, 28, 28), [(10, 24, 24), (10, 12, 12), (20, 8, 8), (20, 4, 4), (50,)]),
        (AllCNN, (3, 32, 32), [(96, 32, 32), (192, 16, 16), (192, 8, 8), (192, 6, 6)]),
        (CelebACNN, (3, 64, 64), [(16, 64, 64), (32, 32, 32), (64, 16, 16), (64, 8, 8), (1024,)]),
        (ResNet18, (3, 32, 32), [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]),  # the paper's
        (ResNet50, (3, 32, 32), [(256, 32, 32), (512, 16, 16), (1024, 8, 8), (2048, 4, 4)]),
        (
            VGG16BN,
            (3, 32, 32),
            [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2), (512, 1, 1), (50,)],
        ),
        (ViTSmall, (3, 32, 32), [(384, 8, 8), (65, 384)]),
        (partial(MLP, hidden=(8, 10, 10), dropout=0.5), (5,), [(8,), (10,), (10,)]),
    ],
    ids=str,
)
def test_stages_of_networks(net, shape, expected):
    with torch.device("meta"):
        module = net(shape, 10).eval()
        recorder = StageRecorder(module, None, 10)
        recorder(torch.zeros(2, *shape))
        assert [tuple(stage.shape[1:]) for stage in recorder.stages()] == expected


def test_stages_are_what_comes_last():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = MLP((5,), 3, hidden=(4, 3), dropout=0.9)
        x = torch.randn(6, 5)
        _, hidden = StageRecorder(module.train(), None, 3)(x)
    first = module.features[1](x).relu()
    assert len(hidden) == 2  # the logits have as many units as the last one
    torch.testing.assert_close(hidden[0], first)
    assert not any(part._forward_hooks for part in module.modules())


def test_named_stages_and_pooling():
    module = LeNet((1, 8, 8), 3).double()
    x = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    recorder = StageRecorder(module, ["hidden", "features.1"], 3)
    recorder(x)
    hidden, maps = recorder.stages()
    torch.testing.assert_close(maps, module.features[1](module.features[0](x)))
    torch.testing.assert_close(pooled(maps), torch.stack([m.reshape(32, -1).mean(1) for m in maps]))
    assert pooled(hidden) is hidden
    tokens = torch.rand(2, 5, 4)
    torch.testing.assert_close(pooled(tokens), tokens.sum(1) / 5)


class Idle(MLP):
    def __init__(self, *args, **params):
        super().__init__(*args, **params)
        self.unused = nn.Linear(1, 1)


def test_networks_that_show_no_stage():
    with pytest.raises(ValueError, match="stages=None was given, and Linear shows none before its logits"):
        quick(Linear).fit(X, Y)
    with pytest.raises(ValueError, match="'unused' returns no tensor of rows"):
        quick(Idle, stages=("unused",)).fit(X, Y)
