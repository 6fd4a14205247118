"""Goes over a matrix by rows and by columns, sums and sorts it, and calls Python from numpy."""

import numpy

SIDE = 512  # of 8-byte numbers: a column's are a page apart


def by_rows(matrix):
    for _ in matrix.flat:
        pass


def by_columns(matrix):
    for _ in matrix.T.flat:
        pass


def plus_one(x):
    return x + 1


def from_numpy():
    numpy.apply_along_axis(plus_one, 0, numpy.ones((4, 50)))
    numpy.vectorize(plus_one)(numpy.ones(50))


def main():
    matrix = numpy.ones((SIDE, SIDE))
    by_rows(matrix)
    by_columns(matrix)
    assert matrix.sum() == matrix.size
    numpy.sort(numpy.arange(5000)[::-1])
    from_numpy()


main()
