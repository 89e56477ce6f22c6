# %% [markdown]
"""# A network of your own, from weights to bytes on the DRAM bus.

Embedded data, less than a minute on one core. Run it cell by cell in an editor that knows percent cells, or as a
script: `python examples/own_network.py`.
"""

# %% A small network, trained on the embedded digits: any N×C×H×W to logits will do
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from actcodec import api

torch.manual_seed(0)
torch.set_num_threads(1)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32 * 7 * 7, 10),
)
MEAN, STD = [0.13], [0.31]  # of images/255
digits = api.dataset("mnist", "train")
x = (torch.from_numpy(digits.images).permute(0, 3, 1, 2) / 255 - MEAN[0]) / STD[0]
optimizer = torch.optim.Adam(net.parameters(), 2e-3)
for batch in torch.randperm(len(x)).split(50):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x[batch]), torch.from_numpy(digits.labels)[batch]).backward()
    optimizer.step()

# %% Where does it store activations? Every reader of these tensors will get what the codec made of them
network = api.network(net, "mnist", mean=MEAN, std=STD, name="small")
layers = api.graph(network)
for layer in layers.layers:
    print(f"{layer.name:4} {layer.kind:8} {layer.outputs}×{layer.height}×{layer.width}, {layer.macs} multiplications")

# %% Learn how to store them in 3 bits a value, and freeze that into integers
build = Path(tempfile.mkdtemp(prefix="actcodec-"))
plan = api.learn(network, target_bits=3, images=digits)
tables = api.export(plan, build / "tables", max_mac_share=1)
for site in tables.sites:
    kept = int((site.arrays.width > 0).sum())
    print(f"{site.info.name}: {site.info.transform}, {kept} of {site.info.channels} coefficients stored")

# %% Accuracy through the integer codec, with the real bytes of every stream
test = api.dataset("mnist", "test")
before = api.evaluate(model=network, mode="float", images=test)
after = api.evaluate(tables, network, images=test)
print(f"{before.accuracy:.1%} uncompressed, {after.accuracy:.1%} at {tables.bpv_stream:.2f} bits a value")

# %% One site by hand: activations to a stream and back
site = tables.sites[0]
shape = (site.info.height, site.info.width, site.info.channels)
frame = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
stream = api.encode(tables, site.info.name, frame)
back = api.decode(tables, site.info.name, stream)
print(
    f"{frame.nbytes} bytes, stored in {stream.nbytes}; mean error {np.abs(back.astype(int) - frame).mean():.1f} steps"
)

# %% What it saves on the memory bus
report = api.traffic(tables, "LPDDR4-3200")
for codec in report.codecs:
    cost = codec.memory_limited.resident
    print(f"{codec.codec:9} {cost.cycles} cycles, {cost.energy.total / 1000:.0f} nJ a frame")

# %% Files for others: a C header, a report for the browser
api.export(tables, build / "c", format="c-header")
print(api.report(tables, build / "report", "LPDDR4-3200"))
