"""Scores of ODIN by numpy and scipy alone, from the logits of moved images.

    python odin.py

writes odin.safetensors beside it: random logits, and the scores at each temperature, f64, higher means more out-of-distribution.
Written from the paper and OpenOOD's definition, without a look at the crate. The step on the image is tested with the probe.
"""

import json
import pathlib

import numpy as np
from safetensors.numpy import save_file
from scipy.special import softmax

CLASSES, WIDTH = 7, 7
draw = np.random.default_rng(20261124)

weight = draw.normal(0, 0.5, (CLASSES, WIDTH)).astype(np.float32)
bias = draw.normal(0, 0.2, CLASSES).astype(np.float32)
tensors = {"weight": weight, "bias": bias}
for part, rows in (("train", 14), ("validation", 14), ("given", 30)):
    # Where a file says nothing else, the tests take a part's penultimate vectors for what the probe read.
    tensors[f"{part}.penultimate"] = draw.normal(0, 4, (rows, WIDTH)).astype(np.float32)
    tensors[f"{part}.logits"] = draw.normal(0, 4, (rows, CLASSES)).astype(np.float32)
    tensors[f"{part}.labels"] = np.arange(rows) % CLASSES

cases = []
moved = tensors["given.penultimate"].astype(np.float64)
for temperature in (1.0, 10.0, 1000.0):
    name = f"scores.{len(cases)}"
    cases.append({"kind": "odin", "settings": {"temperature": temperature}, "scores": name})
    tensors[name] = -softmax(moved / temperature, axis=1).max(1)

save_file(tensors, pathlib.Path(__file__).with_suffix(".safetensors"), metadata={"cases": json.dumps(cases)})
