"""The latent feature diffusion network in JAX, written for this comparison: the rates of a training step and of scoring.

python3 -m venv DIR && DIR/bin/pip install -q jax numpy
DIR/bin/python tests/lfdn_jax_peer.py [--dim 720] [--width 1440] [--blocks 16] [--batch 256] [--seconds 8]
prints JSON. A training step draws steps and noise, and ends with AdamW; scoring is three DDIM steps, squared error, cosine.
"""
import argparse
import json
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

parser = argparse.ArgumentParser()
for name, value in dict(dim=720, width=1440, blocks=16, batch=256, seconds=8).items():
    parser.add_argument("--" + name, type=int, default=value)
a = parser.parse_args()
D, W, N, E = a.dim, a.width, a.batch, a.dim
keys = iter(jax.random.split(jax.random.PRNGKey(0), 8 + 3 * a.blocks))
silu = jax.nn.silu


def linear(inputs, outputs):
    return {"w": jax.random.normal(next(keys), (inputs, outputs)) / inputs**0.5, "b": jnp.zeros(outputs)}


def norm():
    return {"g": jnp.ones(W), "h": jnp.zeros(W)}


def block():
    return {"n1": norm(), "l1": linear(W, W), "e": linear(E, W), "n2": norm(), "l2": linear(W, W)}


P = {"in": linear(D, W), "t1": linear(W, E), "t2": linear(E, E), "out": linear(W, D), "n": norm()}
P["blocks"] = [block() for _ in range(a.blocks)]


def apply(q, x):
    return x @ q["w"] + q["b"]


def normed(q, x):
    mean = x.mean(1, keepdims=True)
    return silu((x - mean) * jax.lax.rsqrt(x.var(1, keepdims=True) + 1e-5) * q["g"] + q["h"])


def net(P, x, t):
    f = jnp.exp(-np.log(1e4) * jnp.arange(W // 2) / (W // 2))
    v = t[:, None] * f[None]
    e = apply(P["t2"], silu(apply(P["t1"], jnp.concatenate([jnp.cos(v), jnp.sin(v)], 1))))
    x = apply(P["in"], silu(x))
    for b in P["blocks"]:
        x = x + apply(b["l2"], normed(b["n2"], apply(b["l1"], normed(b["n1"], x)) + apply(b["e"], silu(e))))
    return apply(P["out"], normed(P["n"], x))


ab = jnp.asarray(np.cumprod(1 - np.linspace(0.0015**0.5, 0.0195**0.5, 100) ** 2), jnp.float32)
z = jax.random.normal(next(keys), (N, D))
key = next(keys)


@jax.jit
def step(P, M, V, key):
    steps, noise = jax.random.split(key)
    t, n = jax.random.randint(steps, (N,), 0, 100), jax.random.normal(noise, (N, D))
    x = jnp.sqrt(ab[t])[:, None] * z + jnp.sqrt(1 - ab[t])[:, None] * n
    loss, g = jax.value_and_grad(lambda P: ((net(P, x, t.astype(jnp.float32)) - z) ** 2).mean())(P)
    tree = jax.tree.map
    M = tree(lambda m, g: 0.9 * m + 0.1 * g, M, g)
    V = tree(lambda v, g: 0.999 * v + 0.001 * g * g, V, g)
    return tree(lambda p, m, v: p * (1 - 1e-6) - 1e-4 * m / (jnp.sqrt(v) + 1e-8), P, M, V), M, V, loss


@jax.jit
def score(P, key):
    draw = iter(jax.random.split(key, 4))
    x = jnp.sqrt(ab[3]) * z + jnp.sqrt(1 - ab[3]) * jax.random.normal(next(draw), (N, D))
    for i in (2, 1, 0):
        x0 = net(P, x, jnp.full((N,), i + 1.0))
        e = (x / jnp.sqrt(ab[i + 1]) - x0) / jnp.sqrt(1 / ab[i + 1] - 1)
        q, r = ab[max(i - 1, 0)], (x - jnp.sqrt(1 - ab[i]) * e) / jnp.sqrt(ab[i])
        s2 = jnp.maximum((1 - q) / (1 - ab[i]) * (1 - ab[i] / q), 0)
        x = jnp.sqrt(q) * r + jnp.sqrt(jnp.maximum(1 - q - s2, 0)) * e + jnp.sqrt(s2) * jax.random.normal(next(draw), (N, D))
    return ((x - z) ** 2).mean(1), (x * z).sum(1) / (jnp.linalg.norm(x, axis=1) * jnp.linalg.norm(z, axis=1))


zeros = jax.tree.map(jnp.zeros_like, P)
state = [P, zeros, zeros]


def train():
    state[0], state[1], state[2], loss = step(*state, key)
    loss.block_until_ready()


def median(work):
    work()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < a.seconds / 2:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


train_s, score_s = median(train), median(lambda: score(P, key)[0].block_until_ready())
count = sum(value.size for value in jax.tree.leaves(P))
print(json.dumps({
    "peer": "jax " + jax.__version__,
    "params_m": round(count / 1e6, 1),
    "train_step_s": round(train_s, 4),
    "train_features_per_s": round(N / train_s, 1),
    "score_features_per_s": round(N / score_s, 1),
}))
