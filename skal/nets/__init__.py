"""Plain torch modules: the papers' architectures, built as ``module(input_shape, n_classes)``.

Each has ``forward(x)``, the logits, and ``embed(x)``, the input of its last layer. `ARCHITECTURES` names the
convolutional ones for :class:`skal.classifiers.CNNClassifier`.
"""

from torch import nn

from .digits import DigitsNet
from .lenet import LeNet
from .linear import Linear
from .mlp import MLP
from .waal_lenet import WAALLeNet

ARCHITECTURES: dict[str, type[nn.Module]] = {"lenet": LeNet, "lenet_waal": WAALLeNet, "digits": DigitsNet}

__all__ = ["ARCHITECTURES", "MLP", "DigitsNet", "LeNet", "Linear", "WAALLeNet"]
