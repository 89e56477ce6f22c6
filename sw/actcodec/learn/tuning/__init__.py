"""What is trained: codecs as differentiable layers, block by block or all together, with or without the weights."""
