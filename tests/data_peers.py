#!/usr/bin/env python3
"""Times numpy, scipy, Pillow, torchvision and tarfile on the files that `oodlab bench data --files DIR` made, beside oodlab.

    data_peers.py DIR ours.json

Every reader gives u8 RGB images [height, width, 3], one by one, from files in the system's cache, on one thread. Rates are
medians of five passes. A library that is not installed is passed over and named.
"""

import gzip
import io
import json
import statistics
import sys
import tarfile
import time
from pathlib import Path

import numpy as np

SIDE = 32


def rows(planes):
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def cifar(folder):
    records = np.fromfile(folder / "batch.bin", np.uint8).reshape(-1, 3073)
    return len(records), lambda i: rows(records[i, 1:].reshape(3, SIDE, SIDE))


def idx(folder):
    path = next(folder.iterdir())
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    images = np.frombuffer(data, np.uint8, offset=16).reshape(-1, SIDE, SIDE)
    return len(images), lambda i: np.repeat(images[i][..., None], 3, axis=2)


def mat(folder):
    import scipy.io

    images = scipy.io.loadmat(folder / "images.mat")["X"]
    return images.shape[3], lambda i: np.ascontiguousarray(images[..., i])


def npy(folder):
    images = np.load(folder / "images.npy", mmap_mode="r")
    return len(images), lambda i: np.array(images[i])


def planes(folder):
    images = np.fromfile(folder / "images.bin", np.uint8).reshape(-1, 3, SIDE, SIDE)
    return len(images), lambda i: np.ascontiguousarray(images[i].transpose(2, 1, 0))


def pillow_folder(folder):
    from PIL import Image

    paths = sorted(folder.rglob("*.*"))
    return len(paths), lambda i: np.asarray(Image.open(paths[i]).convert("RGB"))


def torchvision_folder(folder):
    from torchvision.io import ImageReadMode, read_image

    paths = [str(path) for path in sorted(folder.rglob("*.*"))]
    return len(paths), lambda i: read_image(paths[i], ImageReadMode.RGB)


def pillow_tar(folder):
    from PIL import Image

    archive = tarfile.open(folder / "images.tar")
    members = archive.getmembers()
    return len(members), lambda i: np.asarray(Image.open(io.BytesIO(archive.extractfile(members[i]).read())).convert("RGB"))


PEERS = {
    "cifar": [("numpy", cifar)],
    "idx": [("numpy", idx)],
    "idx-gz": [("numpy", idx)],
    "mat": [("scipy", mat)],
    "mat-packed": [("scipy", mat)],
    "npy": [("numpy", npy)],
    "planes": [("numpy", planes)],
    "png-folder": [("Pillow", pillow_folder), ("torchvision", torchvision_folder)],
    "png-folder-256": [("Pillow", pillow_folder), ("torchvision", torchvision_folder)],
    "jpeg-folder": [("Pillow", pillow_folder), ("torchvision", torchvision_folder)],
    "jpeg-tar": [("Pillow and tarfile", pillow_tar)],
}


def rate(count, read):
    """Images a second: the median of five passes of at least 0.2 s, after one to warm up."""

    def once():
        for i in range(count):
            read(i)

    once()
    passes = []
    for _ in range(5):
        start, images = time.perf_counter(), 0
        while time.perf_counter() - start < 0.2:
            once()
            images += count
        passes.append(images / (time.perf_counter() - start))
    return statistics.median(passes)


def main():
    folder, ours = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())["rates"]
    speed = {(r["format"], r["threads"]): r for r in ours}
    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        pass
    absent = set()
    print("| format | oodlab, 1 thread | 2 threads | opened in ms | peer, 1 thread | its opening | ratio |\n|---|---|---|---|---|---|---|")
    for name, peers in PEERS.items():
        one, two = speed[name, 1], speed.get((name, 2))
        for peer, open_set in peers:
            try:
                start = time.perf_counter()
                count, read = open_set(folder / name)
                opened = 1e3 * (time.perf_counter() - start)
                theirs = rate(count, read)
            except ImportError as error:
                absent.add(f"{peer} ({error})")
                continue
            print(
                f"| {name} | {one['images_per_s']:,.0f} | {two['images_per_s'] if two else 0:,.0f} | {1e3 * one['open_s']:.1f} "
                f"| {peer} {theirs:,.0f} | {opened:.1f} | {one['images_per_s'] / theirs:.2f} |"
            )
    for what in sorted(absent):
        print(f"absent: {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
