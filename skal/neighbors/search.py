"""The search of a `CellIndex` and the checksums of its chunks, kernels that numba compiles."""

import numpy as np

WIDTH = 32  # rows of a chunk, the lanes of the kernel: as many sums as the registers of AVX2 hold
_ODD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)  # each step of a checksum can be undone
_NEAREST_CELLS = 8  # searched first, in order of distance; they nearly always hold the answer


def search(  # type: ignore[no-untyped-def]
    centers, first_chunk, shells, features, rows, n_samples, excluded, queries, sq_distances, found, read
):  # fmt: skip
    """Find the nearest available rows of each query; among equal distances, those with the lower positions.

    The arrays are those of a `CellIndex`, but the centers come as columns, shape (n_features, n_cells). All rows are
    available except those in `excluded`, which are in increasing order. `sq_distances` and `found` start with infinity
    and -1, and are filled in any order. `read` is set to True for each chunk that is read; it has one extra entry at
    the end, and the search ends once that is True.

    It returns -1, or the cell at which it ended because it leads outside the arrays, or the number of cells if a query
    found too few rows, which happens if rows are not finite.
    """
    n_features, n_cells = centers.shape
    n_queries, k = found.shape
    n_chunks = len(shells)
    outside = -1
    if (
        len(first_chunk) != n_cells + 1
        or features.shape != (n_chunks, n_features, WIDTH)
        or rows.shape != (n_chunks, WIDTH)
        or queries.shape[1] != n_features
    ):
        return 0
    sums = np.empty(WIDTH, np.float32)
    slack = 1 + (n_features + 8) * 2.0**-23  # what a sum in float32 can be too large by
    to_center = np.zeros((n_queries, n_cells))
    for i in range(n_queries):
        distances = to_center[i]
        for j in range(n_features):
            if read[n_chunks]:
                return -1
            value = np.float64(queries[i, j])
            for c in range(n_cells):
                difference = centers[j, c] - value
                distances[c] += difference * difference
    to_center = np.sqrt(to_center)

    reaches = np.full(n_queries, np.inf)  # distance of the farthest row found, rounded up
    limits = np.full(n_queries, np.float32(np.inf))  # its square, for sums in float32
    searched = np.zeros((n_queries, n_cells), np.bool_)
    n_first = n_queries * _NEAREST_CELLS
    for step in range(n_first + n_cells * n_queries):
        if step < n_first:  # the nearest cells of each query
            i, cell, least = step // _NEAREST_CELLS, -1, np.inf
            for c in range(n_cells):
                if to_center[i, c] < least and not searched[i, c]:
                    cell, least = c, to_center[i, c]
        else:  # then cell by cell for all queries together, as memory is the slowest part
            cell, i = divmod(step - n_first, n_queries)
        if cell >= 0 and not searched[i, cell]:
            searched[i, cell] = True
            query, sq, best = queries[i], sq_distances[i], found[i]
            reach, limit = reaches[i], limits[i]
            low, high = to_center[i, cell] * (1 - 1e-12), to_center[i, cell] * (1 + 1e-12)
            first, last = first_chunk[cell], first_chunk[cell + 1]
            if not 0 <= first <= last <= n_chunks:
                return cell
            for chunk in range(first, last):
                if low - shells[chunk, 1] > reach or shells[chunk, 0] - high > reach:
                    continue
                if read[n_chunks]:
                    return -1
                read[chunk] = True
                block = features[chunk]
                for lane in range(WIDTH):
                    sums[lane] = 0
                n_alive = np.int32(1)
                for start in range(0, n_features - 7, 8):
                    n_alive = np.int32(0)
                    # Vector instructions; the count has the width of the sums for them.
                    for lane in range(WIDTH):
                        total = sums[lane]
                        for j in range(start, start + 8):
                            difference = block[j, lane] - query[j]
                            total += difference * difference
                        sums[lane] = total
                        n_alive += np.int32(total <= limit)
                    if n_alive == 0:
                        break
                if n_alive == 0:
                    continue
                for j in range(n_features - n_features % 8, n_features):
                    for lane in range(WIDTH):
                        difference = block[j, lane] - query[j]
                        sums[lane] += difference * difference
                for lane in range(WIDTH):
                    row = rows[chunk, lane]
                    if not sums[lane] <= limit or row < 0:
                        continue
                    exact = 0.0
                    for j in range(n_features):
                        difference = np.float64(block[j, lane]) - np.float64(query[j])
                        exact += difference * difference
                    if exact > sq[0] or (exact == sq[0] and row > best[0]):
                        continue
                    if len(excluded):  # few rows come as far as this
                        at = np.searchsorted(excluded, row)
                        if at < len(excluded) and excluded[at] == row:
                            continue
                    if row >= n_samples:
                        outside = cell  # to return here would cost a tenth of the time
                    # The farthest row found is on top of a heap. The new row takes its place, and sinks.
                    place = 0
                    while 2 * place + 1 < k:
                        child = 2 * place + 1
                        if child + 1 < k and (
                            sq[child + 1] > sq[child]
                            or (sq[child + 1] == sq[child] and best[child + 1] > best[child])
                        ):
                            child += 1
                        if exact > sq[child] or (exact == sq[child] and row > best[child]):
                            break
                        sq[place], best[place] = sq[child], best[child]
                        place = child
                    sq[place], best[place] = exact, row
                    reach = np.sqrt(sq[0]) * (1 + 1e-12)
                    limit = np.float32(sq[0] * slack + 1e-37)
            reaches[i], limits[i] = reach, limit
            if outside >= 0:
                return outside
    if len(excluded) == 0:
        for i in range(n_queries):
            if found[i, 0] < 0:  # the top of the heap is the last place to be filled
                return n_cells
    return -1


def add_checksums(chunks, words, sums, stop):  # type: ignore[no-untyped-def]
    """Mix the words of each given chunk, 64 bits each, into its sum; a change of one word always changes the sum."""
    for i in range(len(chunks)):
        if stop[0]:
            return
        total = sums[i]
        for j in range(words.shape[1]):
            total = (total ^ words[chunks[i], j]) * _ODD
            total ^= total >> _HALF
        sums[i] = total
