"""Writes resnet_basic.npz and resnet_bottleneck.npz: what Hugging Face transformers computes of
tiny ResNets with random weights.

python tests/applications/goldens/make_resnet.py    # where torch 2 and transformers 5 are installed
"""

import json
from pathlib import Path

import numpy as np

KINDS = {
    "basic": {"layer_type": "basic", "hidden_sizes": [6, 8], "depths": [2, 1]},
    "bottleneck": {
        "layer_type": "bottleneck", "hidden_sizes": [16, 24], "depths": [1, 2],
        "downsample_in_first_stage": True,
    },
}  # fmt: skip
RATE, DECAY, STEPS = 3e-3, 0.1, 6  # of AdamW, whose epsilon is PyTorch's 1e-8
ROWS, IMAGE, CLASSES = 4, (17, 22), 4


def reference(seed, **sizes):
    """Configuration, weights, images (channels last), classes, logits, the norm of each gradient,
    averages after a step, and the losses of six steps of AdamW, by name: arrays."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(seed)
    config = ResNetConfig(**{"num_channels": 3, "embedding_size": 6} | sizes, num_labels=CLASSES)
    model = ResNetForImageClassification(config)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "normalization" in name and tensor.is_floating_point():
                tensor.add_(0.3 * torch.randn(tensor.shape)).abs_()
    images, classes = (
        torch.randn(ROWS, config.num_channels, *IMAGE),
        torch.randint(CLASSES, (ROWS,)),
    )
    found = {f"state/{n}": a.numpy().copy() for n, a in model.state_dict().items()}
    found["config"] = np.array(json.dumps(config.to_dict()))
    found["images"], found["classes"] = images.permute(0, 2, 3, 1).numpy(), classes.numpy()
    with torch.no_grad():
        found["logits"] = model.eval()(images).logits.numpy()
    optimizer = torch.optim.AdamW(model.train().parameters(), RATE, weight_decay=DECAY)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images).logits, classes)
        loss.backward()
        if not losses:
            norms = {n: p.grad.norm().item() for n, p in model.named_parameters()}
            found["norms"], found["names"] = np.array(list(norms.values())), np.array(list(norms))
            averages = {n: a.numpy().copy() for n, a in model.named_buffers() if a.ndim}
            found.update({f"average/{name}": array for name, array in averages.items()})
        losses.append(loss.item())
        optimizer.step()
    return found | {"losses": np.array(losses)}


if __name__ == "__main__":
    for kind, sizes in KINDS.items():
        file = Path(__file__).with_name(f"resnet_{kind}.npz")
        np.savez_compressed(file, **reference(0, **sizes))
