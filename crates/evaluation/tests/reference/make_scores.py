#!/usr/bin/env python3
"""Writes scores.npz as numpy does: every kind of array that `oodlab metrics` reads, and one with a NaN.

    python3 make_scores.py scores.npz
"""
import sys

import numpy as np

score = np.array([0.1, -1e300, np.inf, 0.25, 3.0])
small = np.array([0.1, -2.5, np.inf, 0.25, 3.0])
np.savez_compressed(
    sys.argv[1],
    score=score,
    big_endian=score.astype(">f8"),
    column=score[:, None],
    single=small.astype("f4"),
    half=small.astype("f2"),
    nan=np.array([0, np.nan, 0, 0, 0]),
    is_ood=np.array([False, False, True, True, True]),
    label=np.array([7, 0, -1, -1, -1], "i4"),
    set=np.array(["cifar10", "cifar10", "svhn", "svhn", "größe"]),
    bytes=np.array([b"a", b"bc", b"", b"d", b"e"]),
    logits=np.arange(10, dtype="f4").reshape(5, 2),
)
