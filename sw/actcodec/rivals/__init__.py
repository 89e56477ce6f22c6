"""Rivals whose streams vary in length, all of them real: lossless coders on stored codes, transform coding, CAT."""
