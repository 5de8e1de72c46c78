"""Plain torch modules: the papers' architectures.

Classifiers are built as ``module(input_shape, n_classes)`` and have ``forward(x)``, the logits, and ``embed(x)``, the
input of the last layer; `ARCHITECTURES` names those for images. `GANS` names pairs of a generator,
``module(input_shape, n_latent)``, and a critic, ``module(input_shape)`` with ``embed(x)`` and a linear layer `head`.
`AUTOENCODERS` and `VAES` name modules with ``encode(x)`` and ``decode(z)``. Modules that generate rows have their range
in `output_range`, None if it is unbounded.
"""

from torch import nn

from .all_cnn import AllCNN
from .asal_autoencoder import CelebAAutoEncoder, CIFARAutoEncoder, MNISTAutoEncoder
from .asal_gan import (
    CelebACritic,
    CelebAGenerator,
    CIFARCritic,
    CIFARGenerator,
    ConvCritic,
    ConvGenerator,
    DigitsCritic,
    DigitsGenerator,
    MNISTCritic,
    MNISTGenerator,
)
from .celeba_cnn import CelebACNN
from .conv_small import ConvSmall
from .dcgan import DCGANCritic, DCGANGenerator
from .dense import DenseAutoEncoder, DenseCritic, DenseGenerator, DenseVAE
from .digits import DigitsNet
from .lenet import LeNet
from .linear import Linear
from .mlp import MLP
from .residual_gan import ResidualCritic, ResidualGenerator
from .resnet import ResNet18, ResNet50
from .vae import ConvVAE, ResNetVAE
from .vgg import VGG16BN
from .vit import ViTSmall
from .waal_lenet import WAALLeNet

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "lenet": LeNet,
    "lenet_waal": WAALLeNet,
    "all_cnn": AllCNN,
    "conv_small": ConvSmall,
    "celeba": CelebACNN,
    "digits": DigitsNet,
    "resnet18": ResNet18,
    "resnet50": ResNet50,
    "vgg16_bn": VGG16BN,
    "vit_small": ViTSmall,
}

GANS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "dense": (DenseGenerator, DenseCritic),
    "digits": (DigitsGenerator, DigitsCritic),
    "mnist": (MNISTGenerator, MNISTCritic),
    "cifar": (CIFARGenerator, CIFARCritic),
    "dcgan": (DCGANGenerator, DCGANCritic),
    "residual": (ResidualGenerator, ResidualCritic),
    "celeba": (CelebAGenerator, CelebACritic),
}

AUTOENCODERS: dict[str, type[nn.Module]] = {
    "dense": DenseAutoEncoder,
    "mnist": MNISTAutoEncoder,
    "cifar": CIFARAutoEncoder,
    "celeba": CelebAAutoEncoder,
}

VAES: dict[str, type[nn.Module]] = {"dense": DenseVAE, "conv": ConvVAE, "resnet18": ResNetVAE}

__all__ = [
    "ARCHITECTURES",
    "AUTOENCODERS",
    "GANS",
    "MLP",
    "VAES",
    "VGG16BN",
    "AllCNN",
    "CIFARAutoEncoder",
    "CIFARCritic",
    "CIFARGenerator",
    "CelebAAutoEncoder",
    "CelebACNN",
    "CelebACritic",
    "CelebAGenerator",
    "ConvCritic",
    "ConvGenerator",
    "ConvSmall",
    "ConvVAE",
    "DCGANCritic",
    "DCGANGenerator",
    "DenseAutoEncoder",
    "DenseCritic",
    "DenseGenerator",
    "DenseVAE",
    "DigitsCritic",
    "DigitsGenerator",
    "DigitsNet",
    "LeNet",
    "Linear",
    "MNISTAutoEncoder",
    "MNISTCritic",
    "MNISTGenerator",
    "ResNet18",
    "ResNet50",
    "ResNetVAE",
    "ResidualCritic",
    "ResidualGenerator",
    "ViTSmall",
    "WAALLeNet",
]
