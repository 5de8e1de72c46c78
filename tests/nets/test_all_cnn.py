import numpy as np
import pytest
import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.nn import functional as F

from skal.classifiers import CNNClassifier
from skal.nets import AllCNN


def convolutions(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def test_layers_are_table_7_of_asal():
    module = AllCNN((3, 32, 32), 10)
    expected = [
        (96, 3, 1),
        (96, 3, 1),
        (96, 3, 2),
        (192, 3, 1),
        (192, 3, 1),
        (192, 3, 2),
        (192, 3, 1),
        (192, 1, 1),
    ]
    assert [(c.out_channels, c.kernel_size[0], c.stride[0]) for c in convolutions(module)] == expected
    assert (module.head.in_features, module.head.out_features) == (192, 10)
    assert [layer.p for layer in module.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 9, 50)], ids=str)
def test_about_1_4_million_parameters_at_any_size(shape):
    widths = [(3, 96, 9), (96, 96, 9), (96, 96, 9), (96, 192, 9), (192, 192, 9), (192, 192, 9), (192, 192, 9)]
    expected = sum(
        n_in * n_out * area + n_out for n_in, n_out, area in [*widths, (192, 192, 1), (192, 10, 1)]
    )
    assert expected == 1_369_738
    assert sum(p.numel() for p in AllCNN(shape, 10).parameters()) == expected


def test_logits_are_the_mean_of_the_last_convolution():
    # The papers' order: a 1x1 convolution to the classes, then the mean over what the network leaves: 6x6 pixels.
    module = AllCNN((3, 32, 32), 10).double().eval()
    x = maps = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    for layer, padding in zip(convolutions(module), [1, 1, 1, 1, 1, 1, 0, 0], strict=True):
        maps = F.conv2d(maps, layer.weight, layer.bias, stride=layer.stride, padding=padding).clamp(min=0)
    assert maps.shape == (1, 192, 6, 6)
    maps = F.conv2d(maps, module.head.weight[:, :, None, None], module.head.bias)
    assert maps.std() > 1e-3  # else any bias would do
    torch.testing.assert_close(module(x), maps.mean((2, 3)))


def test_dropout_of_the_input_is_asked_for():
    rates = {
        rate: [
            layer.p
            for layer in AllCNN((3, 9, 9), 2, dropout=0.3, input_dropout=rate).features
            if isinstance(layer, nn.Dropout)
        ]
        for rate in (0.0, 0.2)
    }
    assert rates == {0.0: [0.3, 0.3], 0.2: [0.2, 0.3, 0.3]}
    assert isinstance(AllCNN((3, 9, 9), 2, input_dropout=0.2).features[0], nn.Dropout)


@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 10, 12), (2, 11, 9)], ids=str)  # every remainder by 4
def test_any_size_from_9x9(shape):
    assert AllCNN(shape, 2).embed(torch.zeros(1, *shape)).shape == (1, 192)


@pytest.mark.parametrize(("height", "width"), [(8, 32), (32, 8)])
def test_smaller_images_are_refused(height, width):
    with pytest.raises(ValueError, match=rf"at least 9x9 pixels, got {height}x{width}.*DigitsNet"):
        AllCNN((3, height, width), 10)


def test_the_input_arrives_at_the_logits_of_a_new_network():
    # torch's own initial weights leave 1e-4 of it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        logits = AllCNN((3, 32, 32), 10).eval()(torch.randn(8, 3, 32, 32))
    assert logits.std(0).mean() > 0.01


def test_the_learning_rate_falls_as_in_the_paper():
    clf = CNNClassifier(
        "all_cnn",
        optimizer=torch.optim.SGD,
        optimizer_params={"momentum": 0.9, "weight_decay": 1e-3},
        lr=0.01,
        max_epochs=4,
        batch_size=128,
        callbacks=[LRScheduler("MultiStepLR", milestones=[2, 3], gamma=0.1)],
        random_state=0,
    )
    X = np.random.default_rng(0).random((4, 3, 9, 9), dtype=np.float32)
    clf.fit(X, [0, 1, 0, 1])
    np.testing.assert_allclose(clf.net_.history[:, "event_lr"], [0.01, 0.01, 1e-3, 1e-4])
    (group,) = clf.net_.optimizer_.param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.9, 1e-3)
