"""Throughput of other programs' encoders on this machine: f32, 224 x 224, one batch, all cores.

`make bench-peers` runs it; by hand:
    encoder_peers.py export FILE NETWORK          writes the ONNX file (random weights; needs torch, torchvision)
    encoder_peers.py torch NETWORK BATCH SECONDS  PyTorch, channels last
    encoder_peers.py ort FILE.onnx BATCH SECONDS  ONNX Runtime, CPU
    encoder_peers.py table ROUNDS FILE            the table in Markdown, from one JSON line a timing
Each timing prints one JSON line {"peer", "network", "images_per_s"}: the median over batches after 2 to warm up.
"""
import collections
import json
import os
import statistics
import sys
import time


def timed(run, batch, limit):
    for _ in range(2):
        run()
    seconds = []
    while len(seconds) < 3 or sum(seconds) < limit:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return batch / statistics.median(seconds)


def tell(peer, network, images_per_s):
    print(json.dumps({"peer": peer, "network": network, "images_per_s": round(images_per_s, 2)}))


def model(network):
    """torchvision's network of that name (`efficientnet-b4-symmetric` is its `efficientnet_b4`)."""
    import torchvision

    theirs = network.replace("-symmetric", "").replace("vit-b16", "vit_b_16").replace("-", "_")
    return getattr(torchvision.models, theirs)(weights=None).eval()


def export(file, network):
    import torch

    torch.onnx.export(model(network), torch.randn(16, 3, 224, 224), file, opset_version=13, input_names=["x"],
                      dynamic_axes={"x": {0: "batch"}})


def run_torch(network, batch, limit):
    import torch

    torch.set_num_threads(os.cpu_count())
    net = model(network).to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        tell("PyTorch " + torch.__version__, network, timed(lambda: net(x), batch, limit))


def run_ort(file, batch, limit):
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    x = np.random.randn(batch, 3, 224, 224).astype(np.float32)
    rate = timed(lambda: session.run(None, {session.get_inputs()[0].name: x}), batch, limit)
    tell("ONNX Runtime " + ort.__version__, os.path.basename(file)[: -len(".onnx")], rate)


def table(rounds, file):
    rates = collections.defaultdict(list)
    for line in open(file):
        one = json.loads(line)
        rates[one["network"], one["peer"] if "peer" in one else "oodlab"].append(one["images_per_s"])
    # A peer that gave no figure in some round is compared over those in which it did.
    networks = list(dict.fromkeys(network for network, _ in rates))
    peers = [peer for peer in dict.fromkeys(peer for _, peer in rates) if peer != "oodlab"]
    print(f"Images/s, median of {rounds} rounds in which the programs took turns (ratios: median of the rounds' ratios).\n")
    print("| network | oodlab | " + " | ".join(f"{peer} | ratio" for peer in peers) + " |")
    print("|---|---|" + "---|---|" * len(peers))
    for network in networks:
        own = rates[network, "oodlab"]
        cells = [network, f"{statistics.median(own):.1f}"]
        for peer in peers:
            theirs = rates.get((network, peer))
            if not theirs:
                cells += ["", ""]
                continue
            ratio = statistics.median(a / b for a, b in zip(own, theirs))
            cells += [f"{statistics.median(theirs):.1f}", f"{ratio:.2f} ×"]
        print("| " + " | ".join(cells) + " |")


def main():
    verb, *arguments = sys.argv[1:]
    if verb == "export":
        export(arguments[0], arguments[1])
    elif verb == "torch":
        run_torch(arguments[0], int(arguments[1]), float(arguments[2]))
    elif verb == "ort":
        run_ort(arguments[0], int(arguments[1]), float(arguments[2]))
    elif verb == "table":
        table(int(arguments[0]), arguments[1])
    else:
        sys.exit(__doc__)


main()
