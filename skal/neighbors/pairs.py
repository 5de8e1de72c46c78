"""Kernels of the searches among all rows of a pool by matrix products, which numba compiles.

`products` are products of queries and rows in float32, both centred and scaled alike and perhaps projected, and
`halves` are half the squared norms. So ``halves[j] - products[i, j]`` is half a squared distance, minus half the
squared norm of the query.
"""

import numpy as np

LANES = 64  # candidates that are compared at a time


def gather(X, rows, shift, scale, points, halves):  # type: ignore[no-untyped-def]
    """Centre and scale some rows, and halve their squared norms; -1 stands for a row at infinity."""
    for i in range(len(rows)):
        if rows[i] < 0:
            points[i], halves[i] = 0, np.inf
            continue
        total = 0.0
        for j in range(X.shape[1]):
            value = np.float32((np.float64(X[rows[i], j]) - shift[j]) * scale)
            points[i, j] = value
            total += np.float64(value) * np.float64(value)
        halves[i] = total / 2


def scan(X, rows, ids, products, own, halves, scale, slack, sq, found):  # type: ignore[no-untyped-def]
    """Put the candidates that are nearer than the farthest found so far into the lists of the queries.

    The lists are in order of distance and position, and no candidate is in a list yet. The rounding error of a product
    is less than `slack` times the norms, so that no nearer row is missed.
    """
    k = sq.shape[1]
    n_candidates = len(ids)
    lanes = halves.reshape(-1, LANES)
    for i in range(len(rows)):
        query, distances, best = X[rows[i]], sq[i], found[i]
        dots = products[i].reshape(-1, LANES)
        base = own[i] * (1 - slack)
        limit = np.float32(distances[k - 1] * scale * scale / 2 - base + 1e-36)
        for chunk in range(n_candidates // LANES):
            n_near = np.int32(0)
            for lane in range(LANES):  # vector instructions
                n_near += np.int32(lanes[chunk, lane] - dots[chunk, lane] <= limit)
            if n_near == 0:
                continue
            for lane in range(LANES):
                row = ids[chunk * LANES + lane]
                if not lanes[chunk, lane] - dots[chunk, lane] <= limit or row < 0 or row == rows[i]:
                    continue
                exact = 0.0
                for j in range(X.shape[1]):
                    difference = np.float64(X[row, j]) - np.float64(query[j])
                    exact += difference * difference
                if exact > distances[k - 1] or (exact == distances[k - 1] and row > best[k - 1]):
                    continue
                place = k - 1
                while place > 0 and (
                    distances[place - 1] > exact or (distances[place - 1] == exact and best[place - 1] > row)
                ):
                    distances[place], best[place] = distances[place - 1], best[place - 1]
                    place -= 1
                distances[place], best[place] = exact, row
                limit = np.float32(distances[k - 1] * scale * scale / 2 - base + 1e-36)


def select(X, rows, ids, products, own, halves, scale, n_measured, sq, found):  # type: ignore[no-untyped-def]
    """Measure the candidates that are nearest by their products, and put those that are nearer into the lists.

    The lists are in order of distance, and may already contain some of the candidates.
    """
    k = sq.shape[1]
    n_candidates = len(ids)
    lanes = halves.reshape(-1, LANES)
    near, columns = np.empty(n_measured, np.float32), np.empty(n_measured, np.intp)
    for i in range(len(rows)):
        query, distances, best = X[rows[i]], sq[rows[i]], found[rows[i]]
        dots = products[i].reshape(-1, LANES)
        near[:] = distances[k - 1] * scale * scale / 2 - own[i]
        columns[:] = -1
        limit = near[0]
        for chunk in range(n_candidates // LANES):
            n_near = np.int32(0)
            for lane in range(LANES):  # vector instructions
                n_near += np.int32(lanes[chunk, lane] - dots[chunk, lane] < limit)
            if n_near == 0:
                continue
            for lane in range(LANES):
                c = chunk * LANES + lane
                value = lanes[chunk, lane] - dots[chunk, lane]
                if not value < limit or ids[c] == rows[i]:
                    continue
                place = n_measured - 1
                while place > 0 and near[place - 1] > value:
                    near[place], columns[place] = near[place - 1], columns[place - 1]
                    place -= 1
                near[place], columns[place] = value, c
                limit = near[n_measured - 1]
        for each in range(n_measured):
            if columns[each] < 0:
                break
            row = ids[columns[each]]
            is_new = True
            for place in range(k):
                if best[place] == row:
                    is_new = False
            if not is_new:
                continue
            total = np.float32(0)
            for j in range(X.shape[1]):
                gap = X[row, j] - query[j]
                total += gap * gap
            if total >= distances[k - 1]:
                continue
            place = k - 1
            while place > 0 and distances[place - 1] > total:
                distances[place], best[place] = distances[place - 1], best[place - 1]
                place -= 1
            distances[place], best[place] = total, row


def reverse(found, place, hearers, counts):  # type: ignore[no-untyped-def]
    """For each row, list the rows that have it at a given place of their own lists, as far as there is room."""
    for row in range(len(found)):
        other = found[row, place]
        if other >= 0 and counts[other] < hearers.shape[1]:
            hearers[other, counts[other]] = row
            counts[other] += 1


def refine(X, rows, sq, found, hearers, n_nearest, table_size, new_sq, new_found):  # type: ignore[no-untyped-def]
    """Search among the neighbours of a row's neighbours, and of the rows that have it as a neighbour."""
    k = sq.shape[1]
    seen = np.empty(table_size, found.dtype)  # a hash table of the rows that were looked at
    mask = table_size - 1
    around = np.empty(n_nearest + hearers.shape[1], found.dtype)
    for i in rows:
        query, distances, best = X[i], new_sq[i], new_found[i]
        seen[:] = -1
        seen[(i * 40503) & mask] = i
        for place in range(k):
            distances[place], best[place] = sq[i, place], found[i, place]
            row = best[place]
            if row >= 0:
                slot = (row * 40503) & mask
                while seen[slot] >= 0:
                    slot = (slot + 1) & mask
                seen[slot] = row
        around[:n_nearest] = best[:n_nearest]
        around[n_nearest:] = hearers[i]
        for other in around:
            if other < 0:
                continue
            for place in range(-1, n_nearest):
                row = other if place < 0 else found[other, place]
                if row < 0:
                    continue
                slot = (row * 40503) & mask
                while seen[slot] >= 0 and seen[slot] != row:
                    slot = (slot + 1) & mask
                if seen[slot] == row:
                    continue
                seen[slot] = row
                total = np.float32(0)
                for j in range(X.shape[1]):
                    gap = X[row, j] - query[j]
                    total += gap * gap
                if total >= distances[k - 1]:
                    continue
                at = k - 1
                while at > 0 and distances[at - 1] > total:
                    distances[at], best[at] = distances[at - 1], best[at - 1]
                    at -= 1
                distances[at], best[at] = total, row


def measure(X, rows, found, sq):  # type: ignore[no-untyped-def]
    """Compute squared distances column by column, and sort the found rows by distance and position."""
    for i in range(len(rows)):
        query, distances, best = X[rows[i]], sq[i], found[i]
        for place in range(found.shape[1]):
            row, total = best[place], 0.0
            for j in range(X.shape[1]):
                gap = np.float64(X[row, j]) - np.float64(query[j])
                total += gap * gap
            at = place
            while at > 0 and (
                distances[at - 1] > total or (distances[at - 1] == total and best[at - 1] > row)
            ):
                distances[at], best[at] = distances[at - 1], best[at - 1]
                at -= 1
            distances[at], best[at] = total, row
