"""The ops. Written by `python -m tools.ops_stub` from their records: not to be edited."""

from typing import Any, TypeAlias

from numpy.typing import ArrayLike

from fastnn.tensor import Tensor

from .record import Op as Op
from .record import registry as registry

Operand: TypeAlias = Tensor | ArrayLike

__all__: list[str]

def abs(x: Operand, /) -> Tensor:
    """|x|; its gradient at 0 is 0. x: any shape, float32, float64, int64, int32 or uint8; the
    result has both."""

def add(x: Operand, y: Operand, /) -> Tensor:
    """x + y; of booleans, whether either is True. x, y: float32, float64, int64, int32, uint8 or
    bool, both alike; shapes broadcast."""

def argmax(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Where the largest element of x stands, int64: of equal ones the first, of NaN the first NaN.
    axis: an integer, or None for all, which are counted as one row; keepdims keeps what is reduced
    with extent 1."""

def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    /,
    epsilon: float = 0.001,
) -> tuple[Tensor, Tensor, Tensor]:
    """Columns of x (N, C) less their mean, over their deviation, times gamma (C,) plus beta (C,):
    gamma (x - mean) / sqrt(variance + epsilon) + beta, the variance that of the N rows (biased).
    Returns y, mean, variance."""

def batch_norm_inference(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    mean: Operand,
    variance: Operand,
    /,
    epsilon: float = 0.001,
) -> Tensor:
    """The same by given statistics, which get no gradient: gamma (x - mean) / sqrt(variance +
    epsilon) + beta."""

def binary_accuracy(p: Operand, target: Operand, /, threshold: float = 0.5) -> Tensor:
    """The share of a row's targets that equal 1 where p > threshold and 0 elsewhere. p, target: (N,
    C)."""

def binary_crossentropy(p: Operand, target: Operand, /, clip: float = 1e-07) -> Tensor:
    """-target log(p) - (1 - target) log(1 - p), p kept `clip` (1e-7, Keras's) away from 0 and 1. p,
    target: float32 or float64, both alike; of one shape."""

def categorical_accuracy(p: Operand, target: Operand, /) -> Tensor:
    """1 where the largest of a row of p and of a row of target (both (N, C)) stand at the same
    place, else 0."""

def copy(x: Operand, /) -> Tensor:
    """x in memory of its own, of any element type. It has no gradient: the copy is detached."""

def divide(x: Operand, y: Operand, /) -> Tensor:
    """x / y, as IEEE 754 has it for y = 0. x, y: float32 or float64, both alike; shapes
    broadcast."""

def dropout(x: Operand, state: Operand, /, rate: Any, draw_offset: int = 0) -> Tensor:
    """x, of any shape, with each number zero with probability `rate` and the others multiplied with
    1 / (1 - rate). state: (2,), int64, a generator's key and count of draws, to which `draw_offset`
    is added; the gradient drops the same ones."""

def elu(x: Operand, /, alpha: float = 1.0) -> Tensor:
    """x, or alpha (e^x - 1) where x is negative. x: any shape, float32 or float64; the result has
    both."""

def equal(x: Operand, y: Operand, /) -> Tensor:
    """True where x is y, else False; NaN is unequal to everything. x, y: float32, float64, int64,
    int32, uint8 or bool, both alike; shapes broadcast."""

def erf(x: Operand, /) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x. x: any shape,
    float32 or float64; the result has both."""

def exp(x: Operand, /) -> Tensor:
    """e^x. x: any shape, float32 or float64; the result has both."""

def gather(source: Operand, order: Operand, cursor: Operand, /, rows: Any) -> Tensor:
    """Rows of source: those that `order` names from place `cursor` on. order: int64; cursor: int64,
    one element. It has no gradient."""

def gelu(x: Operand, /) -> Tensor:
    """x Phi(x), Phi being the normal CDF. x: any shape, float32 or float64; the result has both."""

def gelu_tanh(x: Operand, /) -> Tensor:
    """gelu by way of tanh: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. x: any shape, float32
    or float64; the result has both."""

def general_relu(
    x: Operand,
    /,
    negative_slope: float = 0.0,
    max_value: float = ...,
    threshold: float = 0.0,
) -> Tensor:
    """x, but max_value at most, and negative_slope (x - threshold) up to the threshold, where its
    gradient is negative_slope; from max_value on it is 0. x: any shape, float32 or float64; the
    result has both."""

def greater(x: Operand, y: Operand, /) -> Tensor:
    """True where x is greater than y, else False; NaN is unequal to everything. x, y: float32,
    float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def greater_equal(x: Operand, y: Operand, /) -> Tensor:
    """True where x is at least y, else False; NaN is unequal to everything. x, y: float32, float64,
    int64, int32, uint8 or bool, both alike; shapes broadcast."""

def hard_sigmoid(x: Operand, /) -> Tensor:
    """(x + 3) / 6, but 0 at least and 1 at most; its gradient at -3 and 3 is 0. x: any shape,
    float32 or float64; the result has both."""

def layer_norm(x: Operand, gamma: Operand, beta: Operand, /, epsilon: float = 0.001) -> Tensor:
    """Rows of x (N, C) less their mean, over their deviation, times gamma (C,) plus beta (C,):
    gamma (x - mean) / sqrt(variance + epsilon) + beta, the variance that of the C numbers
    (biased)."""

def leaky_relu(x: Operand, /, negative_slope: float = 0.2) -> Tensor:
    """x, or negative_slope x where x is negative; its gradient at 0 is negative_slope, as in
    PyTorch and TensorFlow. x: any shape, float32 or float64; the result has both."""

def less(x: Operand, y: Operand, /) -> Tensor:
    """True where x is less than y, else False; NaN is unequal to everything. x, y: float32,
    float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def less_equal(x: Operand, y: Operand, /) -> Tensor:
    """True where x is at most y, else False; NaN is unequal to everything. x, y: float32, float64,
    int64, int32, uint8 or bool, both alike; shapes broadcast."""

def linear(
    x: Operand,
    w: Operand,
    bias: Operand | None = None,
    /,
    *,
    activation: Any = None,
) -> Tensor:
    """activation(x w + bias) for x (N, K), w (K, M), bias (M,) or none. activation: None, or the
    name of a function of one number whose derivative follows from its result: 'relu', 'sigmoid',
    'tanh', 'exp'."""

def log(x: Operand, /) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below. x: any shape, float32 or float64; the result has
    both."""

def log_softmax(x: Operand, /, axis: int = -1) -> Tensor:
    """x - log(sum of e^x), the sum along axis: the logarithm of softmax, which neither overflows
    nor is -inf where that is 0. axis: an integer, several, or None for all."""

def matmul(
    a: Operand,
    b: Operand,
    /,
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
) -> Tensor:
    """The matrix product of a (M, K) and b (K, N), either of them transposed first if its flag is
    set."""

def max(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element of x, NaN if one is; equal ones share the gradient, as in TensorFlow and
    JAX. axis: an integer, several, or None for all; keepdims keeps them with extent 1."""

def maximum(x: Operand, y: Operand, /) -> Tensor:
    """The larger of x and y, NaN if either is; where they are equal the gradient goes to x. x, y:
    float32, float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def mean(
    x: Operand,
    /,
    axis: Any = None,
    keepdims: bool = False,
    accumulate: bool = False,
) -> Tensor:
    """The mean of x, a float also of integers. axis: an integer, several, or None for all; keepdims
    keeps them with extent 1."""

def min(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element of x, NaN if one is; equal ones share the gradient, as in TensorFlow and
    JAX. axis: an integer, several, or None for all; keepdims keeps them with extent 1."""

def minimum(x: Operand, y: Operand, /) -> Tensor:
    """The smaller of x and y, NaN if either is; where they are equal the gradient goes to x. x, y:
    float32, float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def multiply(x: Operand, y: Operand, /) -> Tensor:
    """x y; of booleans, whether both are True. x, y: float32, float64, int64, int32, uint8 or bool,
    both alike; shapes broadcast."""

def negative(x: Operand, /) -> Tensor:
    """-x. x: any shape, float32, float64, int64, int32 or uint8; the result has both."""

def normal(
    state: Operand,
    /,
    shape: Any,
    mean: float = 0.0,
    deviation: float = 1.0,
    draw_offset: int = 0,
    dtype: str = 'float32',
) -> Tensor:
    """Normally distributed numbers. state, draw_offset: as for dropout."""

def not_equal(x: Operand, y: Operand, /) -> Tensor:
    """True where x is not y, else False; NaN is unequal to everything. x, y: float32, float64,
    int64, int32, uint8 or bool, both alike; shapes broadcast."""

def power(x: Operand, y: Operand, /) -> Tensor:
    """x^y, as IEEE 754 has it for 0, infinity and negative x; the gradient of y is 0 where x is not
    positive. x, y: float32 or float64, both alike; shapes broadcast."""

def relu(x: Operand, /) -> Tensor:
    """max(x, 0); its gradient at 0 is 0. x: any shape, float32 or float64; the result has both."""

def reshape(x: Operand, /, shape: Any) -> Tensor:
    """x under another shape with as many elements; one extent may be -1. The memory is shared with
    x."""

def sigmoid(x: Operand, /) -> Tensor:
    """1 / (1 + e^-x). x: any shape, float32 or float64; the result has both."""

def sigmoid_cross_entropy(z: Operand, target: Operand, /) -> Tensor:
    """max(z, 0) - z target + log(1 + e^-|z|): the binary cross-entropy of sigmoid(z). z, target:
    float32 or float64, both alike; of one shape."""

def silu(x: Operand, /) -> Tensor:
    """x sigmoid(x). x: any shape, float32 or float64; the result has both."""

def slice_copy(x: Operand, /, key: Any) -> Tensor:
    """x[key], copied, for a key of integers, slices, None and Ellipsis, as NumPy has it. x: any
    element type."""

def softmax(x: Operand, /) -> Tensor:
    """e^x over the sum of e^x in each row of x (N, C), C at least 1."""

def softmax_cross_entropy(
    z: Operand,
    labels: Operand,
    p: Operand | None = None,
    row_max: Operand | None = None,
    exp_sum: Operand | None = None,
    /,
) -> Tensor:
    """-log(softmax(z)[label]) of each row of z (N, C); labels: (N,), int64. p, row_max and exp_sum,
    if at hand, are what softmax made of z."""

def softplus(x: Operand, /) -> Tensor:
    """log(1 + e^x). x: any shape, float32 or float64; the result has both."""

def softsign(x: Operand, /) -> Tensor:
    """x / (1 + |x|). x: any shape, float32 or float64; the result has both."""

def sparse_categorical_accuracy(p: Operand, labels: Operand, /) -> Tensor:
    """1 where the largest of a row of p (N, C) stands at the label (N,), else 0; of equals the
    first counts."""

def sparse_categorical_crossentropy(p: Operand, labels: Operand, /, clip: float = 1e-07) -> Tensor:
    """log(sum of p) - log(p[label]) of each row of p (N, C), p kept `clip` away from 0 and 1;
    labels: (N,), int64."""

def sqrt(x: Operand, /) -> Tensor:
    """The square root; NaN below 0. x: any shape, float32 or float64; the result has both."""

def square(x: Operand, /) -> Tensor:
    """x^2. x: any shape, float32, float64, int64, int32 or uint8; the result has both."""

def squared_difference(x: Operand, y: Operand, /) -> Tensor:
    """(x - y)^2. x, y: float32 or float64, both alike; shapes broadcast."""

def subtract(x: Operand, y: Operand, /) -> Tensor:
    """x - y. x, y: float32, float64, int64, int32 or uint8, both alike; shapes broadcast."""

def sum(
    x: Operand,
    /,
    axis: Any = None,
    keepdims: bool = False,
    accumulate: bool = False,
) -> Tensor:
    """The sum of x: int32 of booleans and of uint8. axis: an integer, several, or None for all;
    keepdims keeps them with extent 1."""

def take(x: Operand, indices: Operand, /, axis: int = 0) -> Tensor:
    """The rows of x along `axis` that `indices` name, in place of that dimension, as numpy.take has
    it: x of any element type, indices of any shape, int64, counted from the end where they are
    negative. Gradients of a row taken twice are added."""

def tanh(x: Operand, /) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x). x: any shape, float32 or float64; the result has both."""

def transpose(x: Operand, /, axes: Any = None) -> Tensor:
    """x with its dimensions in another order, copied: reversed, or by `axes`, a permutation."""

def uniform(
    state: Operand,
    /,
    shape: Any,
    low: float = 0.0,
    high: float = 1.0,
    draw_offset: int = 0,
    dtype: str = 'float32',
) -> Tensor:
    """Numbers in [low, high), each as likely as any other. state, draw_offset: as for dropout."""

def where(condition: Operand, x: Operand, y: Operand, /) -> Tensor:
    """x where condition is True, y elsewhere. condition: bool; of other numbers 0 is False. x, y:
    float32, float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

absolute = abs
