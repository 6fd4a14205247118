"""Goes over a matrix by rows and by columns, sorts it, and calls Python from numpy."""

import numpy

LINE = 64  # bytes of a cache line
ROWS, COLUMNS = 1024, 2048  # of 8 bytes: 16 MB, twice the last-level cache


def by_rows(matrix):
    total = 0.0
    for row in matrix:
        total += row.sum()
    return total


def by_columns(matrix):
    total = 0.0
    for column in matrix.T:
        total += column.sum()
    return total


def plus_one(x):
    return x + 1


def from_numpy():
    numpy.apply_along_axis(plus_one, 0, numpy.ones((4, 50)))
    numpy.vectorize(plus_one)(numpy.ones(50))


def main():
    matrix = numpy.ones((ROWS, COLUMNS))
    assert by_rows(matrix) == by_columns(matrix) == matrix.size
    numpy.sort(numpy.arange(5000)[::-1])
    from_numpy()


main()
