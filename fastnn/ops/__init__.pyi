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

def all(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether no element is 0: of none, True. axis: an integer, several, or None for all; keepdims
    keeps them with extent 1."""

def any(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether some element is not 0: of none, False. NaN is not 0. axis: an integer, several, or
    None for all; keepdims keeps them with extent 1."""

def argmax(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Where the largest element of x stands, int64 (Keras's are int32: here all indices are int64):
    of equal ones the first, of NaN the first NaN. axis: an integer, or None for all, which are
    counted as one row; keepdims keeps what is reduced with extent 1."""

def argmin(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element of x stands, int64 (Keras's are int32: here all indices are
    int64): of equal ones the first, of NaN the first NaN. axis: an integer, or None for all, which
    are counted as one row; keepdims keeps what is reduced with extent 1."""

def argsort(x: Operand, /, axis: int = -1) -> Tensor:
    """The indices, int64, that put x in ascending order along axis (None: of all as one row): NaN
    last, equal elements as they stand."""

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

def count_nonzero(x: Operand, /, axis: Any = None) -> Tensor:
    """How many elements are not 0, int32. axis: an integer, several, or None for all."""

def cumprod(x: Operand, /, axis: Any = None, dtype: Any = None) -> Tensor:
    """The products of x up to each element, along axis; None: of all as one row. Its gradient
    divides by nothing. dtype: to which x is cast before."""

def cumsum(x: Operand, /, axis: Any = None, dtype: Any = None) -> Tensor:
    """The sums of x up to each element, along axis; None: of all as one row. int32 of booleans and
    of uint8. dtype: to which x is cast before."""

def diff(x: Operand, /, n: int = 1, axis: int = -1) -> Tensor:
    """x[i + 1] - x[i] along axis, n times; of booleans, whether they are unequal."""

def digitize(x: Operand, bins: Operand, /) -> Tensor:
    """In which of the bins that ascending numbers (R,) bound x lies, int64: i where bins[i - 1] <=
    x < bins[i], 0 below all of them, R from the last on."""

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

def in_top_k(targets: Operand, predictions: Operand, /, k: Any) -> Tensor:
    """Whether fewer than k of a row of predictions (N, C) are greater than that at its target (N,),
    int64. A target that is no column, and a prediction NaN, count as the smallest of all."""

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

def logsumexp(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum of e^x), which does not overflow where e^x does. axis: an integer, several, or None
    for all; keepdims keeps them with extent 1."""

def matmul(
    a: Operand,
    b: Operand,
    /,
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
) -> Tensor:
    """The matrix product of a (..., M, K) and b (..., K, N), either of them transposed first if its
    flag is set: (..., M, N). Leading dimensions broadcast; a vector is a row on the left and a
    column on the right, and its dimension is not in the result. Of integers int64 or int32, exact
    but for overflow."""

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
    """The mean of x, a float also of integers; NaN of none. axis: an integer, several, or None for
    all; keepdims keeps them with extent 1."""

def median(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle one of x in order, or the mean of the two in the middle; NaN where x has one.
    axis: an integer, several, or None for all; keepdims keeps them with extent 1."""

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

def norm(x: Operand, /, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """A norm of vectors along axis, of matrices along two axes, or of all of x.      Of vectors:
    None and 2, sqrt(sum of x^2); 1, sum of |x|; inf and -inf, the largest and smallest     |x|; 0,
    how many are not 0; another p, (sum of |x|^p)^(1/p). Of matrices: None and "fro",     sqrt(sum
    of x^2); 1 and -1, the largest and smallest sum of |x| over rows; inf and -inf, those     over
    columns. The norms 2, -2 and "nuc" of matrices, made of singular values, are refused.     axis
    None: with ord None, of all elements; else x must have one dimension or two. As in NumPy     and
    Keras, but for what is refused."""

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

def prod(x: Operand, /, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product of x, 1 of none: int32 of booleans and of uint8. Its gradient divides by nothing,
    so that zeros are numbers like others. axis: an integer, several, or None for all; keepdims
    keeps them with extent 1; dtype: to which x is cast before."""

def quantile(
    x: Operand,
    /,
    q: Any,
    axis: Any = None,
    method: str = 'linear',
    keepdims: bool = False,
) -> Tensor:
    """The q-quantile of x: of n elements in order the one at place q (n - 1), counted from 0.
    method: "linear", between its neighbours in proportion; "lower", "higher", "nearest", one of
    them; "midpoint", their mean. NaN where x has one; a float also of integers. q: a number from 0
    to 1, or a row of them, which is then the result's first dimension. axis: an integer, several,
    or None for all; keepdims keeps them with extent 1."""

def relu(x: Operand, /) -> Tensor:
    """max(x, 0); its gradient at 0 is 0. x: any shape, float32 or float64; the result has both."""

def reshape(x: Operand, /, shape: Any) -> Tensor:
    """x under another shape with as many elements; one extent may be -1. The memory is shared with
    x."""

def searchsorted(sorted_sequence: Operand, values: Operand, /, side: str = 'left') -> Tensor:
    """Where values, of any shape, would be put into an ascending sequence (R,) to keep it so,
    int64: 'left', before its equals; 'right', behind them. NaN is behind all numbers."""

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

def sort(x: Operand, /, axis: int = -1) -> Tensor:
    """x in ascending order along axis (None: all as one row): NaN last, equal elements as they
    stood, which matters to their gradients."""

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

def std(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The square root of `var`. axis: an integer, several, or None for all; keepdims keeps them
    with extent 1."""

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

def top_k(x: Operand, /, k: Any, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last dimension, the largest first (whatever `sorted` says),
    and their indices, int64: NaN before all others, of equal ones the first. The gradient goes to
    the elements found."""

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

def var(x: Operand, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of (x - mean of x)^2, a float also of integers; NaN of none. axis: an integer,
    several, or None for all; keepdims keeps them with extent 1."""

def where(condition: Operand, x: Operand, y: Operand, /) -> Tensor:
    """x where condition is True, y elsewhere. condition: bool; of other numbers 0 is False. x, y:
    float32, float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The mean of x along axis (an integer, several, or None for all), weighted: sum of x weights
    divided by sum of weights. weights: of x's shape, or one row along axis; None: all are 1. A
    float also of integers."""

def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each whole number from 0 on is in x (N,), int32, or the sums of its weights (N,);
    of x (M, N), row by row. The result has max(x) + 1 elements, or minlength if that is more.
    Eagerly only: a recorded step has fixed shapes. No gradient. sparse: False."""

def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Any:
    """The different elements of x in ascending order (whatever `sorted` says), or its different
    slices along axis; each NaN is one of its own. With return_index, return_inverse, return_counts
    also where each stands first, which of them each element is, and how often each is there, int64,
    in a tuple. Eagerly only: a recorded step has fixed shapes. No gradient."""

absolute = abs

amax = max

amin = min
