"""The latent feature diffusion network in PyTorch, written for this comparison: the rates of a training step and of scoring.

python3 tests/lfdn_peer.py [--dim 720] [--width 1440] [--blocks 16] [--batch 256] [--seconds 8]
prints JSON. A training step draws steps and noise, and ends with AdamW; scoring is three DDIM steps, squared error, cosine.
"""
import argparse
import json
import math
import os
import statistics
import time

import torch
from torch import nn

parser = argparse.ArgumentParser()
for name, value in dict(dim=720, width=1440, blocks=16, batch=256, seconds=8).items():
    parser.add_argument("--" + name, type=int, default=value)
a = parser.parse_args()
torch.set_num_threads(os.cpu_count())
D, W, N, E = a.dim, a.width, a.batch, a.dim


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.i = nn.Sequential(nn.GroupNorm(1, W), nn.SiLU(), nn.Linear(W, W))
        self.e = nn.Sequential(nn.SiLU(), nn.Linear(E, W))
        self.o = nn.Sequential(nn.GroupNorm(1, W), nn.SiLU(), nn.Linear(W, W))

    def forward(self, x, e):
        return x + self.o(self.i(x) + self.e(e))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Sequential(nn.SiLU(), nn.Linear(D, W))
        self.t = nn.Sequential(nn.Linear(W, E), nn.SiLU(), nn.Linear(E, E))
        self.b = nn.ModuleList([Block() for _ in range(a.blocks)])
        self.o = nn.Sequential(nn.GroupNorm(1, W), nn.SiLU(), nn.Linear(W, D))

    def forward(self, x, t):
        f = torch.exp(-math.log(10000) * torch.arange(W // 2) / (W // 2))
        v = t[:, None].float() * f[None]
        e, x = self.t(torch.cat([v.cos(), v.sin()], -1)), self.p(x)
        for block in self.b:
            x = block(x, e)
        return self.o(x)


net = Net()
optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
z = torch.randn(N, D)
betas = torch.linspace(0.0015**0.5, 0.0195**0.5, 100, dtype=torch.float64) ** 2
ab = torch.cumprod(1 - betas, 0).float()


def step():
    t, noise = torch.randint(0, 100, (N,)), torch.randn_like(z)
    x = ab[t].sqrt()[:, None] * z + (1 - ab[t]).sqrt()[:, None] * noise
    loss = ((net(x, t) - z) ** 2).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@torch.no_grad()
def score():
    x = ab[3].sqrt() * z + (1 - ab[3]).sqrt() * torch.randn_like(z)
    for i in (2, 1, 0):
        t = i + 1
        x0 = net(x, torch.full((N,), t))
        e = (x / ab[t].sqrt() - x0) / (1 / ab[t] - 1).sqrt()
        q, r = ab[max(i - 1, 0)], (x - (1 - ab[i]).sqrt() * e) / ab[i].sqrt()
        s = ((1 - q) / (1 - ab[i]) * (1 - ab[i] / q)).clamp(min=0).sqrt()
        x = q.sqrt() * r + (1 - q - s * s).clamp(min=0).sqrt() * e + s * torch.randn_like(x)
    return ((x - z) ** 2).mean(1), torch.nn.functional.cosine_similarity(x, z, dim=1)


def median(work):
    work()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < a.seconds / 2:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


train_s, score_s = median(step), median(score)
count = sum(value.numel() for value in net.parameters())
print(json.dumps({
    "peer": "torch " + torch.__version__,
    "params_m": round(count / 1e6, 1),
    "train_step_s": round(train_s, 4),
    "train_features_per_s": round(N / train_s, 1),
    "score_features_per_s": round(N / score_s, 1),
}))
