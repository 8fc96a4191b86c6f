"""What BERT is trained for: masked words, and classes of rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import checks, layers, ops
from fastnn.layers.base import Shape
from fastnn.ops.movement import flat_index
from fastnn.symbolic import Spec
from fastnn.tensor import Tensor

from .bert import BERT, Built
from .huggingface import dotted, put, told

# of Hugging Face's configurations: what is taken, and what may stand there only so
SIZES = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "hidden_act", "max_position_embeddings", "type_vocab_size", "pad_token_id",
)  # fmt: skip
ONLY = {
    "add_cross_attention": False,
    "is_decoder": False,
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "tie_word_embeddings": True,
}
RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")


class Head(Built, aliases=None):
    """A model on what a `BERT` makes."""

    def __init__(self, backbone: BERT, **base: Any):
        if not isinstance(backbone, BERT):
            raise TypeError(f"{type(self).__name__}: backbone must be a BERT; got {backbone!r}")
        super().__init__(**{"dtype": backbone.dtype, **base})
        self.backbone, self.hidden_size = backbone, backbone.hidden_size


class BERTMaskedLM(Head, aliases=None):
    """What stands, or stood, at each place: logits (B, T, vocab_size); with "masked_positions" (B,
    M), places from 0 to T - 1, among the inputs, those of them alone: (B, M, vocab_size). The last
    matrix is that of the words' embeddings. backbone: a `BERT`.

    Its loss is `SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)`, with -1 for
    places that do not count, as where a row has fewer than M.
    """

    def __init__(self, backbone: BERT, **base: Any):
        super().__init__(backbone, **base)
        head = "cls.predictions.transform"
        self.transform = self.dense(self.hidden_size, f"{head}.dense", backbone.hidden_act)
        self.norm = self.layer_norm(f"{head}.LayerNorm")
        self.build_for((None, None))

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        shape = (self.backbone.vocab_size,)
        self.bias = self.add_weight(shape, "zeros", name="cls.predictions.bias")

    def compute_output_spec(self, inputs: Any, *others: Any, **named: Any) -> Any:
        given = self.backbone.by_name(inputs)
        shape = given.get("masked_positions", given["input_ids"]).shape
        return Spec((*shape, self.backbone.vocab_size), self.dtype)

    def call(self, inputs: Any) -> Tensor:
        x = self.backbone(inputs)
        if isinstance(inputs, dict) and "masked_positions" in inputs:
            (rows, time, width), places = x.shape, ops.cast(inputs["masked_positions"], "int64")
            index = flat_index(np.arange(rows)[:, None], places, extent=time)
            x = ops.take(ops.reshape(x, (rows * time, width)), index, axis=0)
        x = self.norm(self.transform(x))
        return ops.matmul(x, self.backbone.words.embeddings, transpose_b=True) + self.bias

    @classmethod
    def from_huggingface(cls, config: Any, state_dict: Mapping[str, Any]) -> "BERTMaskedLM":
        """The model of a `BertConfig`, or a dictionary of it, and the `state_dict()` of its
        BertForMaskedLM: tensors or arrays."""
        return _filled(cls(_backbone(config)), state_dict)


class BERTClassifier(Head, aliases=None):
    """Classes of rows: logits (B, num_classes), by a dense layer with tanh (BERT's pooler), dropout
    and a dense layer of the first token's features. backbone: a `BERT`."""

    def __init__(self, backbone: BERT, num_classes: int, dropout: float = 0.1, **base: Any):
        super().__init__(backbone, **base)
        self.num_classes = checks.whole_number("BERTClassifier: num_classes", num_classes, 1)
        self.dropout = dropout
        self.pooler = self.dense(self.hidden_size, "bert.pooler.dense", "tanh")
        self.drop, self.logits = layers.Dropout(dropout), self.dense(num_classes, "classifier")
        self.build_for((None, None))

    def compute_output_spec(self, inputs: Any, *others: Any, **named: Any) -> Any:
        rows = self.backbone.by_name(inputs)["input_ids"].shape[0]
        return Spec((rows, self.num_classes), self.dtype)

    def call(self, inputs: Any) -> Tensor:
        return self.logits(self.drop(self.pooler(self.backbone(inputs)[:, 0])))

    @classmethod
    def from_huggingface(cls, config: Any, state_dict: Mapping[str, Any]) -> "BERTClassifier":
        """As of `BERTMaskedLM`, of a BertForSequenceClassification."""
        backbone, classes = _backbone(config), len(state_dict["classifier.bias"])
        return _filled(cls(backbone, classes, backbone.dropout), state_dict)


def _backbone(config):
    config, rate = told("BERT", config, ONLY, RATES)
    return BERT(**{name: config[name] for name in SIZES if name in config}, dropout=rate)


def _filled(model, state_dict):
    """The model with weights of Hugging Face's, which has three matrices where ours has one."""

    def names_of(path):
        own = f"{model.backbone.name}/"
        name = dotted(f"bert/{path.removeprefix(own)}" if path.startswith(own) else path)
        both = name.split(".attention.self.")
        if len(both) == 1:
            return [name]
        return [f"{both[0]}.attention.self.{of}.{both[1]}" for of in ("query", "key", "value")]

    beyond = f"bert.encoder.layer.{model.backbone.num_hidden_layers}."
    put(model, state_dict, names_of, transposed=True, beyond=beyond)
    return model
