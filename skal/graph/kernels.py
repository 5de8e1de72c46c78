"""The inner loops of a diffusion on the CPU, which numba compiles.

Each call computes its own rows. If several threads write to the same entry of `hops`, they write the same number.
"""

import numpy as np

UNREACHED = 255


def tell(rows, indptr, indices, labels, hops, t):  # type: ignore[no-untyped-def]
    """Mark the unlabelled rows that depend on the given rows."""
    for row in rows:
        for entry in range(indptr[row], indptr[row + 1]):
            hearer = indices[entry]
            if hops[hearer] == UNREACHED and labels[hearer] < 0:
                hops[hearer] = t


def reach(rows, indptr, indices, labels, hops, t, found):  # type: ignore[no-untyped-def]
    """Mark the unlabelled rows that depend on the given rows, list them, and return their number."""
    n_found = 0
    for row in rows:
        for entry in range(indptr[row], indptr[row + 1]):
            hearer = indices[entry]
            if hops[hearer] == UNREACHED and labels[hearer] < 0:
                hops[hearer] = t
                found[n_found] = hearer
                n_found += 1
    return n_found


def hear(rows, indptr, indices, labels, hops, t):  # type: ignore[no-untyped-def]
    """Mark the given rows that depend on a row marked before."""
    for row in rows:
        if labels[row] >= 0:
            continue
        for entry in range(indptr[row], indptr[row + 1]):
            if hops[indices[entry]] < t:
                hops[row] = t
                break


def step(rows, indptr, indices, weights, labels, hops, t, previous, current):  # type: ignore[no-untyped-def]
    """Compute the given rows after t steps, from the labels or from all rows after the step before."""
    width = current.shape[1]
    for row in rows:
        if hops[row] > t:
            continue
        start, stop = indptr[row], indptr[row + 1]
        out = current[row]
        for c in range(width):
            out[c] = 0
        if labels[row] >= 0:
            out[labels[row]] = 1
            continue
        if t == 1:
            for entry in range(start, stop):
                if labels[indices[entry]] >= 0:
                    out[labels[indices[entry]]] += weights[entry]
            continue
        # The sums are stored once per four neighbours; positions without a sign need no check.
        for entry in range(start, stop - 3, 4):
            w0, w1, w2, w3 = weights[entry], weights[entry + 1], weights[entry + 2], weights[entry + 3]
            q0, q1 = previous[np.uint32(indices[entry])], previous[np.uint32(indices[entry + 1])]
            q2, q3 = previous[np.uint32(indices[entry + 2])], previous[np.uint32(indices[entry + 3])]
            for c in range(width):
                out[c] += (w0 * q0[c] + w1 * q1[c]) + (w2 * q2[c] + w3 * q3[c])
        for entry in range(stop - (stop - start) % 4, stop):
            weight, q = weights[entry], previous[np.uint32(indices[entry])]
            for c in range(width):
                out[c] += weight * q[c]
