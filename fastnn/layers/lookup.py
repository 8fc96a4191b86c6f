"""Layers that number what is text, or any whole number, by a vocabulary."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.convert import as_array
from fastnn.dtypes import FLOATS, INT64
from fastnn.layers.base import Layer
from fastnn.layers.hashing import eager_only, hashed, salted, texts
from fastnn.layers.preprocessing import (
    batches_of,
    checked_mode,
    count_up_to,
    encoded,
    whole_numbers,
)
from fastnn.tape.record import context
from fastnn.tensor import Tensor, tensor


class _Lookup(Layer, aliases=None):
    """What StringLookup and IntegerLookup share: the vocabulary, and where it stands among the
    results: a mask token's 0 if output_mode is "int", then num_oov_indices for what is not in it,
    then its terms in order."""

    takes_one_tensor = True

    def _set(
        self,
        max_tokens: Any,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        pad_to_max_tokens: bool,
        sparse: bool,
        salt: Any,
    ) -> None:
        kind = type(self).__name__
        if max_tokens is not None:
            max_tokens = checks.whole_number(f"{kind}: max_tokens", max_tokens, 2)
        elif pad_to_max_tokens:
            raise ValueError(f"{kind}: pad_to_max_tokens needs max_tokens")
        self.max_tokens, self.pad_to_max_tokens = max_tokens, bool(pad_to_max_tokens)
        self.num_oov_indices = checks.whole_number(f"{kind}: num_oov_indices", num_oov_indices, 0)
        self.mask_token, self.oov_token, self.invert = mask_token, oov_token, bool(invert)
        if output_mode in ("tf_idf", "tf-idf") or idf_weights is not None:
            raise NotImplementedError(
                f"{kind}: there is no output_mode 'tf_idf': weigh what 'count' gives"
            )
        self.idf_weights = None
        self.output_mode, self.sparse = checked_mode(kind, output_mode, sparse), False
        if invert and self.output_mode != "int":
            raise ValueError(f"{kind}: with invert, output_mode must be 'int'; got {output_mode!r}")
        self.salt, self._was_given = salted(kind, salt), False
        self.vocabulary: list[Any] | None = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)

    def _terms(self, values: Any) -> np.ndarray:
        """Terms of this layer's kind, in an array."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A vocabulary in a file is read where a program names it, not where a model is loaded."""
        if isinstance(config.get("vocabulary"), str):
            raise ValueError(
                f"{cls.__name__}: its configuration names a vocabulary in a file, "
                f"{config['vocabulary']!r}, which loading does not read"
            )
        return super().from_config(config)

    @property
    def _first_oov(self):
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _first_term(self):
        return self._first_oov + self.num_oov_indices

    def set_vocabulary(self, vocabulary: Any) -> None:
        """Put in terms in order, each once, without mask and out-of-vocabulary tokens or with them
        in front as `get_vocabulary` gives them; or the path of a file with one on each line."""
        self._was_given, self.vocabulary = True, self._checked_terms(vocabulary)

    def _checked_terms(self, vocabulary):
        kind = f"{type(self).__name__} {self.name!r}: vocabulary"
        if isinstance(vocabulary, str):
            vocabulary = self._read(Path(vocabulary).read_text("utf-8").splitlines())
        terms = self._terms(vocabulary).reshape(-1).tolist()
        special = [self.mask_token] * self._first_oov + [self.oov_token] * self.num_oov_indices
        if special and terms[: len(special)] == special:
            terms = terms[len(special) :]
        if not terms:
            raise ValueError(f"{kind}: it is empty")
        repeated = [term for term, count in Counter(terms).items() if count > 1]
        reserved = [self.mask_token, *[self.oov_token] * self.invert]
        misplaced = [term for term in reserved if term is not None and term in terms]
        if repeated or misplaced:
            what = (
                f"terms more than once: {repeated[:5]}"
                if repeated
                else f"the reserved {misplaced[0]!r} elsewhere than in front, where {special} "
                "may stand"
            )
            raise ValueError(f"{kind}: it has {what}")
        if self.max_tokens is not None and self._first_term + len(terms) > self.max_tokens:
            raise ValueError(
                f"{kind}: {len(terms)} terms and {self._first_term} other tokens are more than "
                f"max_tokens={self.max_tokens}"
            )
        return terms

    def _read(self, lines):
        return lines

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary of an array, or of (`steps`) batches: the most frequent terms first,
        the greater first of those that are as frequent; with max_tokens no more than fit."""
        if self._was_given:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: adapt: a vocabulary was given; leave it out "
                "to learn one"
            )
        counts: Counter[Any] = Counter()
        for batch in batches_of(data, type(self).__name__, steps):
            different, found = np.unique(self._terms(batch), return_counts=True)
            counts.update(dict(zip(different.tolist(), found.tolist(), strict=True)))
        for special in (self.mask_token, self.oov_token):
            counts.pop(special, None)
        terms = sorted(counts, key=lambda term: (counts[term], term), reverse=True)
        if self.max_tokens is not None:
            terms = terms[: max(self.max_tokens - self._first_term, 0)]
        if not terms:
            raise ValueError(f"{type(self).__name__} {self.name!r}: adapt: the data has no terms")
        self.vocabulary = terms

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The terms, by the numbers they get; without special tokens the terms alone."""
        special = [self.mask_token] * self._first_oov + [self.oov_token] * self.num_oov_indices
        return special * bool(include_special_tokens) + (self.vocabulary or [])

    def vocabulary_size(self) -> int:
        """How many tokens there are, special ones among them."""
        return self._first_term + len(self.vocabulary or ())

    def _known(self):
        if self.vocabulary is None:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: it has no vocabulary yet: give one, or call "
                "adapt(data) first"
            )
        return self.vocabulary

    def _encoded(self, numbers):
        depth = self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()
        return encoded(numbers, self.output_mode, depth, self.dtype)

    @property
    def _masked(self):
        """The number of a mask token; where vectors are made, that of no category."""
        return 0 if self.output_mode == "int" else -1

    def _refuse(self, unknown):
        raise ValueError(
            f"{type(self).__name__} {self.name!r}: {unknown[:5]} "
            f"{'is' if len(unknown) == 1 else 'are'} not in the vocabulary, and there is no number "
            "for what is not, num_oov_indices being 0"
        )


class StringLookup(_Lookup):
    """Texts as numbers: an array of strings, or nested lists, to int64 (Keras: int32 or int64).

    vocabulary: a list of terms, or a file of one on each line; or `adapt` learns it; it is part of
    the configuration, so of a saved model. 0 is mask_token's, if there is one, then come
    num_oov_indices numbers for texts that are not in the vocabulary (by a hash, if several), then
    its terms. output_mode: "int", or "one_hot", "multi_hot", "count", as CategoryEncoding has them.
    max_tokens: the most numbers; pad_to_max_tokens: so many columns. invert: numbers to texts, in
    a NumPy array, what is no term's to oov_token. salt: of the hash.

    Texts are looked up eagerly: neither in a recorded step nor within a model, which is given the
    numbers. Keras's hash is another: with several num_oov_indices its numbers are others.

    >>> import fastnn
    >>> layer = fastnn.layers.StringLookup(vocabulary=["a", "b"])
    >>> layer([["b", "z"]]).numpy()
    array([[2, 0]])
    >>> layer.get_vocabulary()
    ['[UNK]', 'a', 'b']
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **base: Any,
    ):
        super().__init__(name=name, **base)
        self.encoding = encoding
        if encoding != "utf-8":
            raise ValueError(f"StringLookup: encoding must be 'utf-8'; got {encoding!r}")
        self._set(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, pad_to_max_tokens, sparse, salt,
        )  # fmt: skip

    def _terms(self, values: Any) -> np.ndarray:
        return texts(values, self)

    def __call__(self, inputs: Any, *others: Any, **named: Any) -> Any:
        eager_only(self, inputs, "text")
        terms = self._known()
        if self.invert:
            numbers, first = np.asarray(inputs), self._first_term
            if numbers.dtype.kind not in "iu":
                raise TypeError(
                    f"StringLookup {self.name!r}: with invert, expected whole numbers; got "
                    f"elements of type {numbers.dtype}"
                )
            known = np.array([*self.get_vocabulary(), self.oov_token], str)
            inside = (numbers >= 0) & (numbers < first + len(terms))
            return known[np.where(inside, numbers, len(known) - 1)]
        given = texts(inputs, self)
        different, places = np.unique(given, return_inverse=True)
        number_of = {term: n for n, term in enumerate(terms, self._first_term)}
        if self.mask_token is not None:
            number_of[self.mask_token] = self._masked
        unknown = [term for term in different.tolist() if term not in number_of]
        if unknown:
            if self.num_oov_indices == 0:
                self._refuse(unknown)
            bins = hashed(np.array(unknown), self.num_oov_indices, self.salt) + self._first_oov
            number_of.update(zip(unknown, bins.tolist(), strict=True))
        numbers = np.array([number_of[term] for term in different.tolist()], np.int64)
        return self._encoded(tensor(numbers[places.reshape(given.shape)]))


class IntegerLookup(_Lookup):
    """Any whole numbers as those of a vocabulary, int64 (Keras: int32 or int64); in models and
    recorded steps too.

    Arguments, and what `adapt` learns, as StringLookup has them, mask_token and oov_token being
    whole numbers. Of several num_oov_indices, a number that is not in the vocabulary gets the one
    of its remainder; oov_method is for Keras's sake, of whose methods this is "floormod".

    >>> import fastnn
    >>> layer = fastnn.layers.IntegerLookup(vocabulary=[10, 20, 30])
    >>> layer([[30, 7, 10]]).numpy()
    array([[3, 0, 1]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **base: Any,
    ):
        super().__init__(name=name, **base)
        self.vocabulary_dtype, self.oov_method = vocabulary_dtype, oov_method
        if vocabulary_dtype != "int64" or oov_method != "floormod" or salt is not None:
            raise ValueError(
                "IntegerLookup: expected vocabulary_dtype='int64', oov_method='floormod' and no "
                f"salt; got {vocabulary_dtype!r}, {oov_method!r}, {salt!r}"
            )
        self._set(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, pad_to_max_tokens, sparse, salt,
        )  # fmt: skip

    def _terms(self, values: Any) -> np.ndarray:
        array = np.asarray(values)
        if array.dtype.kind not in "biu" and not (
            array.dtype.kind == "f" and (array == np.floor(array)).all()
        ):
            raise TypeError(
                f"IntegerLookup {self.name!r}: expected whole numbers; got elements of type "
                f"{array.dtype}"
            )
        return as_array(array, np.int64, f"IntegerLookup {self.name!r}")

    def _read(self, lines):
        return [int(line) for line in lines]

    def _operands(self, inputs: Any) -> Tensor:
        return whole_numbers(self, inputs)

    def call(self, x: Tensor) -> Tensor:
        terms, first = np.array(self._known(), np.int64), self._first_term
        x = ops.cast(x, INT64) if x.dtype in FLOATS else x
        if self.invert:
            known = np.array([*self.get_vocabulary(), self.oov_token], np.int64)
            inside = ops.logical_and(x >= 0, x < first + len(terms))
            return ops.take(known, ops.where(inside, x, len(known) - 1), axis=0)
        order = np.argsort(terms)
        places = ops.maximum(count_up_to(terms[order], x) - 1, 0)
        is_known = ops.take(terms[order], places, axis=0) == x
        numbers = ops.take(order + first, places, axis=0)
        if self.num_oov_indices == 0:
            self._expect_known(x, is_known)
            others: Any = self.vocabulary_size()
        elif self.num_oov_indices == 1:
            others = self._first_oov
        else:
            others = ops.mod(x, self.num_oov_indices) + self._first_oov
        numbers = ops.where(is_known, numbers, others)
        if self.mask_token is not None:
            numbers = ops.where(x == self.mask_token, self._masked, numbers)
        return self._encoded(numbers)

    def _expect_known(self, x, is_known):
        """Raise at once where that can be; a recorded step gives what is unknown the number after
        the last, which an embedding refuses."""
        if context.recorder is None and x.buffer.owner is not None:
            found, given = is_known.numpy(), x.numpy()
            if self.mask_token is not None:
                found = found | (given == self.mask_token)
            if not found.all():
                self._refuse(given[~found].tolist())
