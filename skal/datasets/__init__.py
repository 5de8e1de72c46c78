"""Image data sets of the papers, read from disk with torchvision's loaders. Nothing is ever downloaded."""

from .celeba import load_celeba
from .cifar import load_cifar10, load_cifar100
from .digits import load_emnist, load_fashion_mnist, load_mnist
from .image_folder import load_image_folder
from .imagenet import load_mini_imagenet, load_tiny_imagenet
from .lsun import load_lsun
from .stl10 import load_stl10
from .svhn import load_svhn

__all__ = [
    "load_celeba",
    "load_cifar10",
    "load_cifar100",
    "load_emnist",
    "load_fashion_mnist",
    "load_image_folder",
    "load_lsun",
    "load_mini_imagenet",
    "load_mnist",
    "load_stl10",
    "load_svhn",
    "load_tiny_imagenet",
]
