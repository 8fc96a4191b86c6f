"""Writes bert.npz: what Hugging Face's transformers (5.24, PyTorch 2.13) makes of two tiny BERTs.

    python make_bert.py        # where transformers and torch are installed

For each of the two heads: weights, inputs, logits, loss, the norm of each gradient, and the losses
of six steps of AdamW. No dropout: its random numbers are not ours.
"""

from pathlib import Path

import numpy as np

CONFIG = {
    "vocab_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16,
    "intermediate_size": 24, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 9, "type_vocab_size": 2, "hidden_act": "gelu", "pad_token_id": 0,
    "initializer_range": 0.3, "num_labels": 3,
}  # fmt: skip
RATE, DECAY, STEPS = 1e-2, 0.1, 6


def inputs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Five rows of seven tokens, the last one of two; labels of some tokens, and of rows."""
    mask = np.arange(7) < np.array([7, 4, 6, 7, 2])[:, None]
    ids = np.where(mask, rng.integers(1, 40, (5, 7)), 0)
    labels = np.where(mask & (rng.random((5, 7)) < 0.4), rng.integers(1, 40, (5, 7)), -100)
    return {
        "input_ids": ids, "attention_mask": mask.astype(np.int64), "labels": labels,
        "token_type_ids": rng.integers(0, 2, (5, 7)), "classes": rng.integers(0, 3, 5),
    }  # fmt: skip


def golden(seed: int = 0) -> dict[str, np.ndarray]:
    """All arrays by name: masked/..., classifier/..., and the inputs."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

    torch.manual_seed(seed)
    given = inputs(np.random.default_rng(seed))
    found = dict(given)
    tensors = {name: torch.tensor(value) for name, value in given.items()}
    classes = tensors.pop("classes")
    for head, kind in (("masked", BertForMaskedLM), ("classifier", BertForSequenceClassification)):
        model = kind(BertConfig(**CONFIG))
        labels = tensors["labels"] if head == "masked" else classes
        for name, parameter in model.named_parameters():
            with torch.no_grad():  # biases and norms that are not 0 and 1
                parameter += 0.1 * torch.randn(parameter.shape)
            found[f"{head}/state/{name}"] = parameter.detach().numpy().copy()
        optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
        losses = []
        for step in range(STEPS):
            result = model(**{**tensors, "labels": labels})
            optimizer.zero_grad()
            result.loss.backward()
            if step == 0:
                found[f"{head}/logits"] = result.logits.detach().numpy()
                for name, parameter in model.named_parameters():
                    found[f"{head}/norm/{name}"] = parameter.grad.norm().numpy()
            losses.append(result.loss.item())
            optimizer.step()
        found[f"{head}/losses"] = np.array(losses)
    return found


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("bert.npz"), **golden())
