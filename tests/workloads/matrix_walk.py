"""Sums a matrix of 8 MB by rows and by columns.

The reads are the same, but by columns each is of another cache line.
"""

from array import array

SIZE = 1024


def sum_by_rows(matrix):
    total = 0.0
    for row in range(SIZE):
        for column in range(SIZE):
            total += matrix[row * SIZE + column]
    return total


def sum_by_columns(matrix):
    total = 0.0
    for column in range(SIZE):
        for row in range(SIZE):
            total += matrix[row * SIZE + column]
    return total


if __name__ == "__main__":
    numbers = array("d", [1.0]) * (SIZE * SIZE)
    print(sum_by_rows(numbers), sum_by_columns(numbers))
