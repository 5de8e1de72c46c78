"""Fours and nines among the latents of a VAE (Figure 2), and the limit of a diffusion on their graph (Lemma 4.1)."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from _experiments import result_folder, save, train_or_load
from _results import write_results
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigs, spsolve
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import paired_euclidean_distances
from sklearn.neighbors import NearestNeighbors

from skal import datasets
from skal.generators import VAE
from skal.graph import nearest_neighbors, transition_matrix
from skal.pool import blockwise

N_NEAR = 10
N_STEPS = (5, 100, 1_000, 10_000)  # the first is the paper's T

Floats = np.ndarray[Any, np.dtype[np.float64]]


def two_main(options: Any) -> None:
    X, y = datasets.load_mnist(subset=(4, 9), return_X_y=True)
    output, n_epochs = result_folder(options), 8 if options.quick else 300
    vae = train_or_load(output / "vae.skal", VAE(5, max_epochs=n_epochs, random_state=0), X)
    latents = blockwise(vae.transform, X)
    figures = alike(X.reshape(len(X), -1) / 255.0, y, latents)
    print(*(f"{name}: {value:.3g}" for name, value in figures.items()), sep="\n")
    same = figures["neighbours of the same digit"]
    draw_latents(latents, y, f"{same:.1f} % of {N_NEAR} neighbours have the same digit", output)
    limits = limits_of_diffusion(latents, y, options.seeds or [0, 1, 2])
    print(*(f"{name}: {values}" for name, values in limits.items()), sep="\n")
    write_results(
        options,
        output,
        flags=["--seeds", *map(str, options.seeds)] if options.seeds else [],
        setting=f"{len(X):,} fours and nines of MNIST, five latents, {N_NEAR} neighbours, five labels of each digit",
        cut=["VAE 8 epochs (300)"] if options.quick else [],
        numbers=figures | limits,
    )


def alike(images: Floats, y: Any, latents: Any) -> dict[str, float]:
    """How many neighbours among the latents have the same digit, and how far apart the images of the others are.

    The distance is a median, as a share of that between a random four and a random nine. Both are in percent.
    """
    index = NearestNeighbors(n_neighbors=N_NEAR + 1).fit(latents)
    near = index.kneighbors(latents, return_distance=False)[:, 1:]
    differs = y[near] != y[:, None]
    rows, turns = np.nonzero(differs)
    rng = np.random.default_rng(0)
    fours, nines = (rng.choice(np.flatnonzero(y == digit), 10_000) for digit in np.unique(y))
    distance = np.median(paired_euclidean_distances(images[rows], images[near[rows, turns]]))
    of_random = np.median(paired_euclidean_distances(images[fours], images[nines]))
    return {
        "neighbours of the same digit": float(100 * (1 - differs.mean())),
        "distance to neighbours of the other digit": float(100 * distance / of_random),
    }


def draw_latents(latents: Any, y: Any, title: str, output: Any) -> None:
    figure, axis = plt.subplots(figsize=(7, 6), layout="constrained")
    first, second = PCA(2).fit_transform(latents).T
    axis.scatter(first, second, c=y, cmap="coolwarm", s=4, alpha=0.5, lw=0)
    axis.set(title=f"fours and nines; {title}", xticks=[], yticks=[])
    save(figure, output / "latents.png")


def limits_of_diffusion(latents: Any, y: Any, seeds: list[int]) -> dict[str, list[float]]:
    """Correlations of diffused labels with the second eigenvector and with the harmonic extension of the labels.

    The labels are held fixed, as in Equations 6 and 8 and Algorithm 2, or they are free: then all values tend to one
    constant, and what is left without it is compared. All is in float64, on the largest connected part of the graph.
    """
    M = transition_matrix(*nearest_neighbors(latents, N_NEAR)).astype(np.float64)
    M = sparse.csr_array(sparse.diags_array(1 / M.sum(axis=1)) @ M)
    part = connected_components(M)[1]
    rows = np.flatnonzero(part == np.bincount(part).argmax())
    M, signs = M[rows][:, rows].tocsr(), np.where(y[rows] == y.min(), -1.0, 1.0)
    stationary = np.abs(eigs(M.T, 1, which="LR", v0=np.ones(len(rows)))[1][:, 0].real)
    stationary /= stationary.sum()
    second = eigs(M, 2, which="LR", v0=signs)[1].real
    phi_2 = second[:, np.argmax(second.std(axis=0))]  # the first is constant
    figures: dict[str, list[float]] = {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        labelled = np.concatenate([rng.choice(np.flatnonzero(signs == sign), 5, False) for sign in (-1, 1)])
        rest = np.setdiff1d(np.arange(len(rows)), labelled)
        harmonic = spsolve(
            sparse.eye_array(len(rest), format="csc") - M[rest][:, rest],
            M[rest][:, labelled] @ signs[labelled],
        )
        held, free = np.zeros(len(rows)), np.zeros(len(rows))
        held[labelled] = free[labelled] = signs[labelled]
        for step in range(1, max(N_STEPS) + 1):
            held, free = M @ held, M @ free
            held[labelled] = signs[labelled]
            free -= stationary @ free  # the constant, beside which the rest would be rounded away
            free /= np.abs(free).max()  # correlations have no scale, and it would become zero
            if step in N_STEPS:
                found = {
                    "held, eigenvector": correlation(held[rest], phi_2[rest]),
                    "held, harmonic": correlation(held[rest], harmonic),
                    "free, eigenvector": correlation(free, phi_2),
                }
                for name, value in found.items():
                    figures.setdefault(f"{name}, {step} steps", []).append(value)
    return figures


def correlation(a: Floats, b: Floats) -> float:
    """Without its sign, which an eigenvector does not have."""
    return float(abs(np.corrcoef(a, b)[0, 1]))
