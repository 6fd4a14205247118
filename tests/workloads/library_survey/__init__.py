"""A survey of the Python standard library's own sources, by the interpreter that runs them."""
