"""Elements taken by their place."""


def gather(source, order, cursor, rows):
    return source[order[cursor[0] : cursor[0] + rows]]
