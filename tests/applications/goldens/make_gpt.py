"""Writes gpt.npz: what Hugging Face transformers computes of a tiny GPT-2 with random weights.

python tests/applications/goldens/make_gpt.py    # where torch 2 and transformers 5 are installed
"""

import json
from pathlib import Path

import numpy as np

SIZES = {"vocab_size": 13, "n_positions": 7, "n_embd": 12, "n_layer": 2, "n_head": 3}
RATE, DECAY, STEPS = 1e-2, 0.1, 6  # of AdamW, whose epsilon is PyTorch's 1e-8


def reference(seed, rows=3, **sizes):
    """Configuration, weights, tokens, logits, loss, the norm of each gradient, and the losses of
    six steps of AdamW, by name: arrays."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    ends = {"bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.2}
    config = GPT2Config(**SIZES | sizes, **rates, **ends)
    model = GPT2LMHeadModel(config)
    tokens = torch.randint(config.vocab_size, (rows, config.n_positions))
    found = {f"state/{n}": a.detach().numpy().copy() for n, a in model.state_dict().items()}
    found["config"] = np.array(json.dumps(config.to_dict()))
    found["tokens"] = tokens.numpy()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = model(tokens).logits
        # the token after each but the last
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()
        )
        loss.backward()
        if not losses:
            found["logits"] = logits.detach().numpy()
            norms = {n: p.grad.norm().item() for n, p in model.named_parameters()}
            found["norms"] = np.array(list(norms.values()))
            found["names"] = np.array(list(norms))
        losses.append(loss.item())
        optimizer.step()
    return found | {"losses": np.array(losses)}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("gpt.npz"), **reference(0))
