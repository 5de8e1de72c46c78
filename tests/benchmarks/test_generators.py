"""Training steps of GAN and VAE against bare PyTorch loops with the same networks, on MNIST.

Run with ``pytest tests/benchmarks/test_generators.py -s``. On a GPU the rows compare GPU loops, and our CUDA graph.
"""

import torch
from torch import nn

from skal.generators import GAN, VAE
from skal.nets import ConvVAE, MNISTCritic, MNISTGenerator

from .timing import DEVICE, in_turns, report

ON_GPU = DEVICE == "cuda"
GAN_STEPS = 300 if ON_GPU else 4
VAE_ROWS = 60_000 if ON_GPU else 1_920
ROUNDS = 5


def with_torch_activations(module):
    """The same network with torch's own LeakyReLU, whose second derivative is a tensor of zeros."""
    module.features = nn.Sequential(
        *(nn.LeakyReLU(0.2) if type(part).__name__ == "LeakyReLU" else part for part in module.features)
    )
    return module


def bare_wgan_gp(X, n_steps, batch_size=50, prepare=lambda critic: critic):
    torch.manual_seed(0)
    generator = MNISTGenerator((1, 28, 28)).to(DEVICE, memory_format=torch.channels_last)
    critic = prepare(MNISTCritic((1, 28, 28))).to(DEVICE, memory_format=torch.channels_last)
    optimizers = [
        torch.optim.Adam(net.parameters(), 1e-4, (0.5, 0.9), fused=True) for net in (generator, critic)
    ]
    order = iter(torch.randperm(len(X), device=X.device).split(batch_size))
    for _ in range(n_steps):
        for _ in range(5):
            real = X[next(order)].contiguous(memory_format=torch.channels_last)
            with torch.no_grad():
                fake = generator(torch.randn(batch_size, 128, device=DEVICE))
            scores = critic(torch.cat([real, fake]))
            points = torch.lerp(real, fake, torch.rand(batch_size, 1, 1, 1, device=DEVICE)).requires_grad_()
            (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
            penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
            optimizers[1].zero_grad()
            (scores[batch_size:].mean() - scores[:batch_size].mean() + 10 * penalty).backward()
            optimizers[1].step()
        critic.requires_grad_(False)
        optimizers[0].zero_grad()
        (-critic(generator(torch.randn(batch_size, 128, device=DEVICE))).mean()).backward()
        optimizers[0].step()
        critic.requires_grad_(True)


def bare_vae(X, batch_size=64):
    torch.manual_seed(0)
    module = ConvVAE((1, 28, 28)).to(DEVICE, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(module.parameters(), 5e-4, fused=True)
    for batch in torch.randperm(len(X), device=X.device).split(batch_size):
        rows = X[batch].contiguous(memory_format=torch.channels_last)
        mean, log_variance = module.encode(rows)
        latents = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        error = (rows - module.decode(latents)).square().flatten(1).sum(1)
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
        optimizer.zero_grad()
        (error + divergence).mean().backward()
        optimizer.step()


def test_wgan_gp(benchmark, images):
    images = images[0][: len(images[0]) if ON_GPU else 250 * GAN_STEPS]  # what is checked once is no step
    tensor = torch.from_numpy(images).to(DEVICE)
    gan = GAN(n_iter=GAN_STEPS, batch_size=50, device=DEVICE, random_state=0)
    contestants = {
        "GAN": lambda: gan.fit(images),
        "bare loop": lambda: bare_wgan_gp(tensor, GAN_STEPS),
        "bare loop, torch's LeakyReLU": lambda: bare_wgan_gp(
            tensor, GAN_STEPS, prepare=with_torch_activations
        ),
    }
    if ON_GPU:
        graph = GAN(n_iter=GAN_STEPS, batch_size=50, cuda_graph=True, random_state=0)
        contestants["GAN, cuda_graph=True"] = lambda: graph.fit(images)
    times = in_turns(contestants, ROUNDS)
    report(benchmark, f"{GAN_STEPS} generator steps of WGAN-GP, MNIST networks, batch 50, {DEVICE}", times)
    share = times["bare loop"] / times["GAN"]
    print(f"  share of the bare loop: {share:.3f} (goal 0.95)")
    benchmark.extra_info["share of the bare loop"] = share
    benchmark.pedantic(gan.fit, args=(images,), rounds=1)


def test_vae(benchmark, images):
    part = images[0][:VAE_ROWS]
    tensor = torch.from_numpy(part).to(DEVICE)
    vae = VAE(max_epochs=1, validation_fraction=None, device=DEVICE, random_state=0)
    contestants = {"VAE": lambda: vae.fit(part), "bare loop": lambda: bare_vae(tensor)}
    times = in_turns(contestants, ROUNDS)
    report(benchmark, f"one epoch of ConvVAE, batch 64, {DEVICE}", times, len(part))
    share = times["bare loop"] / times["VAE"]
    print(f"  share of the bare loop: {share:.3f} (goal 0.95)")
    benchmark.extra_info["share of the bare loop"] = share
    benchmark.pedantic(vae.fit, args=(part,), rounds=1)
