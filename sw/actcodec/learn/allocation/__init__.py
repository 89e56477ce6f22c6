"""Who gets how many bits: the methods that choose transform, kept coefficients and widths of every site."""
