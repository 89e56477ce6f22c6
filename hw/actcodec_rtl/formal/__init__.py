"""Machine proofs of the blocks that move bits: packer, unpacker, skid buffer, and the trees of shifters.

``python -m actcodec_rtl.formal`` runs them. A *bench* surrounds the real block with inputs that a solver chooses and
claims what must hold; a *proof* shows it for all of them, or finds the inputs that break it.
"""
