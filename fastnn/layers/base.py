"""What all layers share: names, weights, building on first use, and telling tapes that something
about them changed."""

import re
from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np

from fastnn import checks, config, constraints, initializers, regularizers, tree
from fastnn.declared import expect_flags
from fastnn.devices.arena import Arena, turn_of
from fastnn.devices.choice import checked, device
from fastnn.dtypes import FLOATS, expected
from fastnn.errors import DTypeError, ShapeError, name_layer, shape_text, warn
from fastnn.layers.building import derived, in_work, of_shapes, once, one_or_all, tuple_of
from fastnn.locks import making
from fastnn.registry import Configured, Kind, snake_case, unique_name
from fastnn.symbolic import (
    KerasTensor,
    Nodes,
    arena_of,
    inferred,
    is_symbolic,
    is_traced,
    symbolic_call,
)
from fastnn.tape.record import context, outside_the_step
from fastnn.tensor import Masks, Tensor, copied, mask_of, operand, set_mask
from fastnn.variable import Variable
from fastnn.watch import Watched, own, with_layers

Shape = tuple[int | None, ...]
ARRAYS = (Tensor, np.ndarray)
KIND = Kind("layer", "layers")
# what arguments for weights end with, and what they are
GET = {
    "initializer": initializers.get,
    "regularizer": regularizers.get,
    "constraint": constraints.get,
}


class Layer(Watched, Configured):
    """A function with weights. Subclasses define `call(inputs)` or `call(inputs, training)` from
    ops and other layers, and, if they have weights of their own, `build(input_shape)`, which makes
    them with `add_weight`.

    name: None makes one up of the class's name. trainable: False keeps gradients and updates from
    its weights. dtype: of weights and results; None is `config.floatx()`. activity_regularizer: of
    what `call` gives.

    Layers (and lists of them) that are attributes belong to it, with their weights.

    copy.deepcopy and pickle copy all of it, a model with its optimizer, its moments and where its
    random numbers are: the copy trains on with the same bits, by itself. copy.copy gives another
    layer with the same weights. Names stay.

    >>> import fastnn
    >>> class Scale(fastnn.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    _kind = KIND
    unwritten: tuple[str, ...] = ("activity_regularizer",)
    not_recorded: tuple[str, ...] = ("_losses", "_with_losses")
    takes_one_tensor = False  # and no structure of several
    keeps_shape = False  # whether its result has the shape of its input, whatever that is
    input_spec: Any = None  # what its inputs must be: an `InputSpec`, or a structure of these
    supports_masking = False  # whether its results are masked as `compute_mask` says
    activity_regularizer: Any

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        made = super().__new__(cls, *arguments, **named)
        if not cls.__module__.startswith("fastnn.") and not is_symbolic((arguments, named)):
            # for a configuration, where the constructor does not keep them as attributes
            vars(made)["_given"] = arguments, named
        return made

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if "build" in vars(cls):
            cls.build = once(cls.build)  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        activity_regularizer: Any = None,
    ):
        # one that fastnn or Keras made up, as it stands in a configuration, is none
        made_up = rf"{snake_case(type(self).__name__)}(_\d+)?"
        if name is not None:
            name = checks.text(f"{type(self).__name__}: name", name)
        self.given_name = name is not None and not re.fullmatch(made_up, name)
        self.name = unique_name(snake_case(type(self).__name__)) if name is None else name
        self.dtype = expected(dtype or config.floatx(), f"layer {self.name!r}", FLOATS)
        self.built = False
        self._built_for: Any = None  # a shape, or a structure of shapes
        self.take(activity_regularizer=activity_regularizer)
        self._losses: list[Any] = []  # of the last call
        self._with_losses: set[Layer] = set()  # layers that it called and that have some
        self._nodes = Nodes()  # its calls on symbolic tensors
        self._own_weights: tuple[Variable, ...] = ()  # no list, which tapes would compare
        self._arena: Arena | None = None
        parameters = signature(self.call).parameters
        self._takes_training, self._takes_mask = "training" in parameters, "mask" in parameters
        self._makes_masks = type(self).compute_mask is not Layer.compute_mask
        self._trainable = checks.flag(f"{type(self).__name__}: trainable", trainable)

    # ---- what subclasses define

    @once
    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of this shape, in which None is any extent."""

    def call(self, inputs: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not define call(inputs)")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The result's shape for an input's, in which None is any extent. Unless a layer says
        otherwise, or that it `keeps_shape`, `call` is asked, without computing."""
        if self.keeps_shape:
            return input_shape
        inputs = of_shapes(lambda shape: KerasTensor(shape, self.dtype, "x"), input_shape)
        return tree.map(lambda spec: spec.shape, self.compute_output_spec(inputs))

    def compute_output_spec(self, inputs: Any, *others: Any, **named: Any) -> Any:
        """What `call` gives of symbolic tensors: what has the `shape` and `dtype` of each
        result."""
        if not self.built:  # with extents that may be any, before one is taken for them
            shapes = tree.map(lambda t: getattr(t, "shape", None), inputs)
            self.build_for(shapes, arena_of(tree.flatten(inputs)))
        return inferred(self, (inputs, *others), named)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The masks of the results, for those of the inputs: unless a layer that
        `supports_masking` says otherwise, the same."""
        return previous_mask

    # ---- calling

    def __call__(
        self, inputs: Any, *others: Any, training: bool | None = None, **named: Any
    ) -> Any:
        """Call `call`. inputs: an array, or a list, tuple or dictionary of arrays, nested if need
        be; whatever else `call` takes follows, arrays among it becoming tensors as well. What
        `call` returns comes back in its own structure."""
        if (others or named) and is_symbolic((others, named)):
            return self._symbolic(inputs, others, training, named)
        if others:
            bound = signature(self.call).bind_partial(inputs, *others, **named)
            expect_flags(self, bound.arguments)
            training = bound.arguments.pop("training", training)
            (inputs, *rest), named = bound.args, bound.kwargs
            others = tuple([self._tensors(value, ARRAYS) for value in rest])
        if named:
            expect_flags(self, named)
            named = {name: self._tensors(value, ARRAYS) for name, value in named.items()}
        if isinstance(inputs, Tensor):
            x = operand(inputs, self.dtype, self.name)
        elif is_symbolic(inputs):
            return self._symbolic(inputs, others, training, named)
        else:
            x = self._operands(inputs)
        if self.input_spec is not None and not is_traced():
            self._expect_inputs(x)
        if not self.built:
            self.build_for(tree.map(lambda t: (None, *t.shape[1:]), x))
        if training is None:
            training = bool(context.training)
        elif training is not True and training is not False:
            training = checks.flag(f"{type(self).__name__} {self.name!r}: training", training)
        if not context.layers:
            context.outermost = self
            if self._with_losses or self._losses:
                self._clear_losses()
        before, context.layers, context.training = (
            (context.layers, context.training),
            (*context.layers, self.name),
            training,
        )
        if self._takes_training:
            named["training"] = training
        masks = self._masks(x, named) if Masks.exist or self._makes_masks else None
        try:
            y = self.call(x, *others, **named)
            if masks is not None:
                self._mask_results(y, x, masks[0])
            if self.activity_regularizer is not None:
                self._regularize(y)
        except (ShapeError, DTypeError) as error:
            name_layer(error, self.name)
            raise
        finally:
            context.layers, context.training = before
            if not context.layers:
                context.outermost = None  # which may be freed
        if isinstance(y, Tensor) and isinstance(x, Tensor):
            return copied(y) if y.buffer is x.buffer and not isinstance(inputs, Tensor) else y
        return self._results(y, inputs, x)

    def _masks(self, x, named):
        """[the masks of the inputs, in their structure]; None if there are none and the layer makes
        none."""
        found = named.get("mask")
        if found is None:
            found = tree.map(mask_of, x) if not isinstance(x, Tensor) else mask_of(x)
            is_some = found is not None and any(
                [m is not None for m in tree.flatten_with_none(found)]
            )
            if not is_some and not self._makes_masks:
                return None
            if self._takes_mask and is_some:
                named["mask"] = found
        return [found]

    def _mask_results(self, y, x, masks):
        results = tree.flatten(y)
        if all([mask_of(t) is not None for t in results]):
            return
        if self.supports_masking or self._makes_masks:
            made = tree.flatten_with_none(self.compute_mask(x, masks))
            for tensor, mask in zip(results, made, strict=False):
                if mask is not None and mask_of(tensor) is None:
                    set_mask(tensor, mask)
        elif any([m is not None for m in tree.flatten_with_none(masks)]):
            warn(
                f"layer {self.name!r} was given an input with a mask, which it does not pass on: "
                "what follows does not see it. A layer that may says supports_masking = True."
            )

    def _operands(self, inputs: Any) -> Any:
        """What `call` is given, of arrays, or of a structure of arrays and tensors."""
        if isinstance(inputs, np.ndarray):
            return operand(inputs, self.dtype, self.name)
        return self._of_one(inputs) if self.takes_one_tensor else self._tensors(inputs)

    def _symbolic(self, inputs, others, training, named):
        """A call while a model is built: noted, for what stands for its results."""
        if self.takes_one_tensor and not isinstance(inputs, KerasTensor):
            self._expect_one(inputs)
        if self.input_spec is not None:
            self._expect_inputs(inputs)
        if training is not None:
            named = {**named, "training": training}
        specs = self.compute_output_spec(inputs, *others, **named)
        return symbolic_call(self, (inputs, *others), named, specs)

    def _expect_inputs(self, inputs):
        from .input_spec import expect_inputs  # few layers have any

        expect_inputs(self.input_spec, inputs, self.name)

    def _expect_one(self, inputs):
        """Raise for a structure of tensors."""
        raise TypeError(
            f"{type(self).__name__} {self.name!r}: takes one tensor; got a "
            f"{type(inputs).__name__} of {len(inputs)}"
        )

    def _of_one(self, inputs):
        """Nested lists, a frame, whatever is one array."""
        if any([isinstance(value, Tensor) for value in tree.flatten(inputs)]):
            self._expect_one(inputs)
        return operand(inputs, self.dtype, self.name)

    def _tensors(self, value, kinds=(object,)):
        """A structure with what is of these kinds as tensors of the layer's type."""
        return tree.map(
            lambda v: operand(v, self.dtype, self.name) if isinstance(v, kinds) else v, value
        )

    def _results(self, y, inputs, x):
        """What `call` returned, checked. A tensor that shares an array which was given, and may be
        written over, is copied."""
        found = tree.flatten(y)
        for path, leaf in tree.leaves(y):
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    f"layer {self.name!r}: call must return a tensor, or lists, tuples and "
                    f"dictionaries of tensors; got {type(leaf).__name__}{path and f' at {path}'}"
                )
        if not found:
            raise TypeError(f"layer {self.name!r}: call must return a tensor; got {y!r}")
        own = {t.buffer for t in tree.flatten(inputs) if isinstance(t, Tensor)}
        shared = {t.buffer for t in tree.flatten(x)} - own
        return tree.map(lambda t: copied(t) if t.buffer in shared else t, y)

    def build_for(self, input_shape: Shape, arena: Arena | None = None) -> None:
        """Build once, in `arena` if it belongs to a model, even while a step is being recorded."""
        with making:
            if self.built:  # by another thread, perhaps
                return
            with outside_the_step():
                self._arena = self._arena or arena
                for layer in self.sublayers():
                    layer._arena = layer._arena or self.arena()
                in_work.append(self)
                try:
                    self.build(input_shape)
                finally:
                    in_work.pop()
            self._built_for, self.built = input_shape, True

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` builds it with: the shape of its input; None if it is not built
        for one."""
        return None if self._built_for is None else {"input_shape": self._built_for}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with what `get_build_config` gave."""
        if config.get("input_shape") is not None:
            self.build_for(tuple_of(config["input_shape"]))

    def arena(self) -> Arena:
        """Where its weights lie: a model's lie together."""
        if self._arena is None:
            self._arena = Arena()
        return self._arena

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        *,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new weight of this layer; an untrainable one gets no gradient. Keras's arguments.

        shape: None is (), one number. initializer: None is "glorot_uniform" of floats, "zeros" of
        other numbers. dtype: None is the layer's. regularizer: adds to the loss; constraint: is
        applied after each update."""
        arena = self.arena()
        name = checks.text(f"layer {self.name!r}: add_weight: name", name or "weight")
        shape = checks.extents(f"layer {self.name!r}: {name}", () if shape is None else shape)
        dtype = self.dtype if dtype is None else expected(dtype, f"layer {self.name!r}: {name}")
        if initializer is None:
            initializer = "glorot_uniform" if dtype in FLOATS else "zeros"
        with outside_the_step(), device("cpu"):  # the same numbers on every device
            found = initializers.get(initializer, f"layer {self.name!r}: initializer")
            try:
                value = found(shape, dtype=dtype)
            except TypeError as error:  # of a function of the user's, as one that takes no type
                raise TypeError(f"layer {self.name!r}: initializer of {name}: {error}") from error
            value = (
                value.buffer.array(value.shape, value.dtype)
                if isinstance(value, Tensor)
                else np.asarray(value)
            )
            if value.shape != shape:
                raise ShapeError(
                    f"layer {self.name!r}: the initializer of {name} gave shape "
                    f"{shape_text(value.shape)}, not {shape_text(shape)}"
                )
            variable = Variable(value, None, dtype, trainable, name=name, arena=arena)
        variable.regularizer = regularizers.get(regularizer, f"layer {self.name!r}: regularizer")
        variable.constraint = constraints.get(constraint, f"layer {self.name!r}: constraint")
        self._own_weights = (*self._own_weights, variable)
        variable.requires_gradient = trainable and self._trainable
        return variable

    def take(self, **arguments: Any) -> None:
        """Keep arguments for weights, such as kernel_initializer and bias_constraint: of names and
        configurations what they stand for."""
        for name, given in arguments.items():
            get = GET[name.rpartition("_")[2]]
            setattr(self, name, get(given, f"{type(self).__name__}: {name}"))

    def weight_of(self, name: str, shape: Sequence[int], trainable: bool = True) -> Variable:
        """A new weight by the arguments for it that were taken."""
        found = {kind: getattr(self, f"{name}_{kind}", None) for kind in GET}
        return self.add_weight(shape, name=name, trainable=trainable, **found)

    # ---- losses of its own

    def add_loss(self, loss: Any) -> None:
        """Within `call`, add a number, or several, to the loss that is trained.

        >>> import fastnn
        >>> class Sparse(fastnn.layers.Layer):
        ...     def call(self, x):
        ...         self.add_loss(0.5 * fastnn.ops.sum(abs(x)))
        ...         return x
        >>> layer = Sparse()
        >>> _ = layer([[1.0, -3.0]])
        >>> [loss.item() for loss in layer.losses]
        [2.0]
        """
        outermost = context.outermost if context.layers else self
        if self is not outermost and self not in outermost._with_losses:
            self._losses.clear()  # of a call by itself
        outermost._with_losses.add(self)
        self._losses += [operand(one, self.dtype, self.name) for one in tree.flatten(loss)]

    def _regularize(self, y):
        """Add what the activity regularizer makes of results, a row's share of it, as Keras."""
        for result in tree.flatten(y):
            if isinstance(result, Tensor):
                self._add_share(self.activity_regularizer, result)

    def _add_share(self, regularizer, result):
        rows = max(result.shape[0], 1) if result.ndim else 1
        self.add_loss(regularizer(result) / rows)

    def _clear_losses(self):
        for layer in (self, *self._with_losses):
            layer._losses.clear()
        self._with_losses.clear()

    @property
    def losses(self) -> list[Any]:
        """What the last call added, of it and the layers within, and what the regularizers of the
        weights that are learned give."""
        found = [loss for layer in self._all_layers() for loss in layer._losses]
        if context.recorder is None:  # those of a recorded step ended with it
            found = [loss for loss in found if loss.buffer.owner is not None]
        return found + [v.regularizer(v) for v in self.trainable_weights if v.regularizer]

    def _all_layers(self):
        found = {id(self): self}
        for layer in self.sublayers():
            found.update({id(inner): inner for inner in layer._all_layers()})
        return list(found.values())

    # ---- structure

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or pickle has; copy.copy's result has the same weights, but no losses in
        common."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and value.buffer.owner is None:
                error = value.buffer.unreadable()
                raise type(error)(
                    f"layer {self.name!r} cannot be copied: its {name} has no values; set it to "
                    f"None before. {error}"
                )
        return {**vars(self), "_nodes": Nodes(), "_losses": [], "_with_losses": set()}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if not own(self, "__dict__").get("_trainable", True):
            for layer in _layers_among([value], {}).values():
                layer.trainable = False

    def sublayers(self) -> list["Layer"]:
        """The layers among the attributes, each once, in order."""
        return list(_layers_among(with_layers(self), {}).values())

    @property
    def trainable(self) -> bool:
        """Whether its weights, and those of the layers within, are learned. May be assigned at any
        time."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value = checks.flag(f"layer {self.name!r}: trainable", value)
        for variable in self._own_weights:
            variable.requires_gradient = variable._trainable and self._trainable
        for layer in self.sublayers():
            layer.trainable = value

    @property
    def weights(self) -> list[Variable]:
        """Every weight: its own, then those of the layers within; a shared one once."""
        found = {id(v): v for v in self._own_weights}
        for layer in self.sublayers():
            found.update({id(v): v for v in layer.weights})
        if context.reads is not None:
            context.reads.meet(found.values())
        return list(found.values())

    @property
    def trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if v.requires_gradient]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if not v.requires_gradient]

    @derived
    def input(self) -> Any:
        """The symbolic tensor, or the list of them, that it was called on, if that was once."""
        return one_or_all(self._only_call("input").parents)

    @derived
    def output(self) -> Any:
        """What its only call on a symbolic tensor gave."""
        return self._only_call("output").results

    def _only_call(self, what):
        calls = self._nodes.calls
        if len(calls) != 1:
            times = f"called on {len(calls)}" if calls else "not called on any"
            raise AttributeError(
                f"layer {self.name!r} has no {what}: that is of its only call on a symbolic "
                f"tensor, and it was {times}. Keep what the call that is meant gave."
            )
        return calls[0]

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def to(self, device: str) -> "Layer":
        """Move it to a device, "cpu" or "cuda", with gradients and what an optimizer keeps of its
        weights, and return it. Weights that are made later are made there. A model trains and
        predicts where it lies.

        >>> import fastnn
        >>> fastnn.layers.Dense(2).to("cpu").device
        'cpu'
        """
        arena = Arena(checked("to", device))
        if self.device != arena.device:
            for layer in (self, *self.sublayers()):
                layer._arena = arena
            for variable in self.weights:
                variable.move(arena)
        return self

    @property
    def device(self) -> str:
        """Where its weights lie, or will."""
        return context.device if self._arena is None else self._arena.device

    def count_params(self) -> int:
        """How many numbers its weights are."""
        return sum(v.size for v in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights, in the order of `weights`; while another thread trains, as they
        are between two steps."""
        variables = self.weights
        return turn_of([v.buffer for v in variables]).run(lambda: [v.numpy() for v in variables])

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Put in what `get_weights` gave: as many arrays, of the same shapes. If one does not fit,
        none is changed."""
        variables = self.weights
        if len(weights) != len(variables):
            hint = (
                ""
                if self.built
                else " It is not built yet: call it once, or give its input's shape."
            )
            raise ValueError(
                f"set_weights: {self.name!r} has {len(variables)} weights; got {len(weights)} "
                f"arrays.{hint}"
            )
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(variables, arrays, strict=True):
            if array.shape != variable.shape:
                raise ShapeError(
                    f"set_weights: {variable.name!r} of {self.name!r} has shape "
                    f"{shape_text(variable.shape)}; got "
                    f"{shape_text(array.shape)}"
                )

        def put_in():
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)

        turn_of([v.buffer for v in variables]).run(put_in)

    def __repr__(self):
        return f"<{type(self).__name__} {self.name!r}{'' if self.built else ', not built'}>"


def _layers_among(values: Any, found: dict[int, Layer]) -> dict[int, Layer]:
    """Those found before, and the layers among values and within lists, tuples and dictionaries
    of them, by id."""
    for value in values:
        if isinstance(value, Layer):
            found[id(value)] = value
        elif isinstance(value, tree.SEQUENCES):
            _layers_among(value, found)
        elif isinstance(value, dict):
            _layers_among(list(value.values()), found)
    return found


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
