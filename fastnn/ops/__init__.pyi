"""The ops. Written by `python -m tools.ops_stub` from their records: not to be edited."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from numpy.typing import ArrayLike

from fastnn.tensor import Tensor

from .record import Op as Op
from .record import registry as registry

Operand: TypeAlias = Tensor | ArrayLike

__all__: list[str]
linalg: Any  # all ops by their names, as in Keras
nn: Any
numpy: Any

def abs(x: Operand) -> Tensor:
    """|x|; its gradient at 0 is 0. x: any shape, float32, float64, int64, int32 or uint8; the
    result has both."""

def adaptive_average_pool(inputs: Operand, output_size: Any, data_format: Any = None) -> Tensor:
    """The mean element of each window; otherwise as `adaptive_max_pool`."""

def adaptive_max_pool(inputs: Operand, output_size: Any, data_format: Any = None) -> Tensor:
    """The largest element of each of output_size windows along every dimension of space, as equal
    as can be: of n elements window i of p has those from floor(i n / p) to before     ceil((i + 1)
    n / p). inputs as of `max_pool`, of one to three dimensions of space, one element     at least
    along each. Keras's arguments."""

def add(x: Operand, y: Operand) -> Tensor:
    """x + y; of booleans, whether either is True. x, y: float32, float64, int64, int32, uint8 or
    bool, both alike; shapes broadcast."""

def all(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether no element is 0: of none, True. axis: an integer, several, or None for all; keepdims
    keeps them with extent 1."""

def allclose(
    x: Operand,
    y: Operand,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Whether all elements are close: `all` of `isclose`."""

def angle(x: Operand) -> Tensor:
    """The angle of real numbers: 0, pi where x is negative, NaN of NaN."""

def any(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether some element is not 0: of none, False. NaN is not 0. axis: an integer, several, or
    None for all; keepdims keeps them with extent 1."""

def arccos(x: Operand) -> Tensor:
    """The inverse of cos, from 0 to pi; NaN beyond 1 and -1. x: any shape, float32 or float64; the
    result has both."""

def arccosh(x: Operand) -> Tensor:
    """The inverse of cosh, from 0 on: ln(x + sqrt(x^2 - 1)); NaN below 1. x: any shape, float32 or
    float64; the result has both."""

def arcsin(x: Operand) -> Tensor:
    """The inverse of sin, from -pi/2 to pi/2; NaN beyond 1 and -1. x: any shape, float32 or
    float64; the result has both."""

def arcsinh(x: Operand) -> Tensor:
    """The inverse of sinh: ln(x + sqrt(x^2 + 1)). x: any shape, float32 or float64; the result has
    both."""

def arctan(x: Operand) -> Tensor:
    """The inverse of tan, from -pi/2 to pi/2. x: any shape, float32 or float64; the result has
    both."""

def arctan2(y: Operand, x: Operand) -> Tensor:
    """The angle of the point (y, x), given its ordinate y first: from -pi to pi, as C has it for
    zeros and infinities. y, x: float32 or float64, both alike; shapes broadcast."""

def arctanh(x: Operand) -> Tensor:
    """The inverse of tanh: ln((1 + x) / (1 - x)) / 2; infinite at 1 and -1, NaN beyond. x: any
    shape, float32 or float64; the result has both."""

def argmax(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Where the largest element of x stands, int64 (Keras's are int32: here all indices are int64):
    of equal ones the first, of NaN the first NaN. axis: an integer, or None for all, which are
    counted as one row; keepdims keeps what is reduced with extent 1."""

def argmin(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element of x stands, int64 (Keras's are int32: here all indices are
    int64): of equal ones the first, of NaN the first NaN. axis: an integer, or None for all, which
    are counted as one row; keepdims keeps what is reduced with extent 1."""

def argpartition(x: Operand, kth: Any, axis: int = -1) -> Tensor:
    """Indices, int64, that put element kth in order along axis (None: of all as one row) in its
    place, smaller ones before it: those of `argsort`, which put all in order."""

def argsort(x: Operand, axis: int = -1) -> Tensor:
    """The indices, int64, that put x in ascending order along axis (None: of all as one row): NaN
    last, equal elements as they stand."""

def attention(
    query: Operand,
    key: Operand,
    value: Operand,
    mask: Operand | None = None,
    *,
    scale: Any = None,
    is_causal: bool = False,
) -> Tensor:
    """`dot_product_attention` of heads of at most 512 numbers, without bias, in one call: the
    scores are nowhere but in caches. query (B, T, N, H), key (B, S, K, H), value (B, S, K, V),
    mask: booleans that broadcast to (B, N, T, S), or left out; the result (B, T, N, V)."""

def average_pool(
    inputs: Operand,
    pool_size: Any,
    strides: Any = None,
    padding: str = 'valid',
    data_format: Any = None,
) -> Tensor:
    """The mean element of each window; otherwise as `max_pool`. Padding does not count. Of integers
    too it is a float (of Keras's backends some refuse them, some cut it off)."""

def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
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
    epsilon: float = 0.001,
) -> Tensor:
    """The same by given statistics, which get no gradient: gamma (x - mean) / sqrt(variance +
    epsilon) + beta."""

def binary_accuracy(p: Operand, target: Operand, threshold: float = 0.5) -> Tensor:
    """The share of a row's targets that equal 1 where p > threshold and 0 elsewhere. p, target: (N,
    C)."""

def binary_crossentropy(target: Operand, output: Operand, from_logits: bool = False) -> Tensor:
    """-target log(output) - (1 - target) log(1 - output), element by element; output is kept 1e-7
    away from 0 and 1. from_logits: output is what a sigmoid would make probabilities of."""

def bitwise_and(x: Operand, y: Operand) -> Tensor:
    """And of the bits of x and y; of booleans, of these. x, y: int64, int32, uint8 or bool, both
    alike; shapes broadcast."""

def bitwise_not(x: Operand) -> Tensor:
    """The other of each bit: -1 - x, of uint8 255 - x, of booleans whether x is False."""

def bitwise_or(x: Operand, y: Operand) -> Tensor:
    """Or of the bits of x and y; of booleans, of these. x, y: int64, int32, uint8 or bool, both
    alike; shapes broadcast."""

def bitwise_xor(x: Operand, y: Operand) -> Tensor:
    """Exclusive or of the bits of x and y; of booleans, of these. x, y: int64, int32, uint8 or
    bool, both alike; shapes broadcast."""

def broadcast_to(x: Operand, shape: Any) -> Tensor:
    """x repeated along new dimensions and those of extent 1, to `shape`, copied. x: any element
    type. Its gradient is the sum over what was repeated."""

def categorical_accuracy(p: Operand, target: Operand) -> Tensor:
    """1 where the largest of a row of p and of a row of target (both (N, C)) stand at the same
    place, else 0."""

def categorical_crossentropy(
    target: Operand,
    output: Operand,
    from_logits: bool = False,
    axis: int = -1,
) -> Tensor:
    """-(the sum of target log(output)) along axis; output is divided by its sum and kept 1e-7 away
    from 0 and 1. from_logits: output is what a softmax would make probabilities of."""

def cbrt(x: Operand) -> Tensor:
    """The cube root, of negative numbers too."""

def ceil(x: Operand) -> Tensor:
    """The smallest whole number from x on, a float. Its gradient is 0. x: any shape, float32 or
    float64; the result has both."""

def celu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x, or alpha (e^(x / alpha) - 1) where x is negative. x: any shape, float32 or float64; the
    result has both."""

def clip(x: Operand, x_min: Operand, x_max: Operand) -> Tensor:
    """x, but x_min at least and x_max at most: min(max(x, x_min), x_max). Shapes broadcast; NaN
    stays. The gradient is x's where x is between them or at one of them, else the bound's."""

def clipped_binary_cross_entropy(p: Operand, target: Operand, clip: float = 1e-07) -> Tensor:
    """-target log(p) - (1 - target) log(1 - p), p kept `clip` (1e-7, Keras's) away from 0 and 1. p,
    target: float32 or float64, both alike; of one shape."""

def clipped_sparse_cross_entropy(p: Operand, labels: Operand, clip: float = 1e-07) -> Tensor:
    """log(sum of p) - log(p[label]) of each row of p (N, C), p kept `clip` away from 0 and 1;
    labels: (N,), or N in any shape, int64."""

def conv(
    inputs: Operand,
    kernel: Operand,
    strides: int = 1,
    padding: str = 'valid',
    data_format: Any = None,
    dilation_rate: int = 1,
) -> Tensor:
    """The convolution of images (N, D..., C), of one, two or three dimensions D of space, with a
    kernel (K..., C / G, F) for G groups of channels: (N, P..., F). strides, dilation_rate: a
    number, or one for each dimension. padding: "valid", none, P = ceil((D - (K - 1) dilation) /
    stride); "same", zeros all round, P = ceil(D / stride), and where they are odd one more behind;
    "causal", of one dimension, all zeros before; or, beside Keras's names, how many zeros stand
    (before, after) in each dimension. data_format: "channels_last", the default, or
    "channels_first", which costs transposes. Strides and dilation may be given together, and
    causal padding too, which Keras leaves to its backends."""

def conv_transpose(
    inputs: Operand,
    kernel: Operand,
    strides: int = 1,
    padding: str = 'valid',
    output_padding: Any = None,
    data_format: Any = None,
    dilation_rate: int = 1,
) -> Tensor:
    """The transpose of a convolution, which its gradient by input is: of images (N, D..., C) with a
    kernel (K..., F, C), (N, P..., F). P is D stride for padding "same", and for "valid" (D - 1)
    stride + max((K - 1) dilation + 1, stride). output_padding, less than the strides: with "same"
    P is (D - 1) stride + output_padding, and 1 more if the kernel's window is odd; with "valid"
    (D - 1) stride + (K - 1) dilation + 1 + output_padding. The rest as in `conv`."""

def copy(x: Operand) -> Tensor:
    """x in memory of its own, of any element type. It has no gradient: the copy is detached."""

def corrcoef(x: Operand) -> Tensor:
    """The correlations (R, R) of the rows of x (R, N): their covariances over the products of their
    deviations. Of one row (N,) it is 1."""

def correlate(x: Operand, y: Operand, mode: str = 'valid') -> Tensor:
    """The correlation of x (N,) with y (M,): the sums of y's products with x from each place on.
    mode: "valid", where both lie over each other as a whole; "same", of the longer one's extent;
    "full", N + M - 1 of them."""

def cos(x: Operand) -> Tensor:
    """The cosine of x; NaN at infinity. x: any shape, float32 or float64; the result has both."""

def cosh(x: Operand) -> Tensor:
    """(e^x + e^-x) / 2."""

def count_nonzero(x: Operand, axis: Any = None) -> Tensor:
    """How many elements are not 0, int32. axis: an integer, several, or None for all."""

def cross(
    x1: Operand,
    x2: Operand,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: Any = None,
) -> Tensor:
    """The vector product: of vectors of three elements along axisa of x1 and axisb of x2, along
    axisc of the result; `axis` sets all three. A vector of two has 0 as its third; of two such the
    third element of the product alone is the result. Other dimensions broadcast."""

def cumprod(x: Operand, axis: Any = None, dtype: Any = None) -> Tensor:
    """The products of x up to each element, along axis; None: of all as one row. Its gradient
    divides by nothing. dtype: to which x is cast before."""

def cumsum(x: Operand, axis: Any = None, dtype: Any = None) -> Tensor:
    """The sums of x up to each element, along axis; None: of all as one row. int32 of booleans and
    of uint8. dtype: to which x is cast before."""

def deg2rad(x: Operand) -> Tensor:
    """Degrees in radians: x pi / 180."""

def depth_to_space(x: Operand, block_size: Any, data_format: str = 'channels_last') -> Tensor:
    """x (N, H, W, C) as (N, H b, W b, C / b^2), b the block_size: the channels of a pixel become b
    x b pixels, row by row. Of "channels_first", (N, C, H, W), channel C / b^2 is made of b^2 that
    are neighbours, as in Keras."""

def depthwise_conv(
    inputs: Operand,
    kernel: Operand,
    strides: int = 1,
    padding: str = 'valid',
    data_format: Any = None,
    dilation_rate: int = 1,
) -> Tensor:
    """The convolution of each channel of images (N, D..., C) by M of its own, kernel (K..., C, M):
    (N, P..., C M), channel c's from c M on. The rest as in `conv`."""

def diag(x: Operand, k: int = 0) -> Tensor:
    """A matrix with the row x on diagonal number k, and zeros elsewhere; of a matrix, that
    diagonal."""

def diagflat(x: Operand, k: int = 0) -> Tensor:
    """A matrix with all elements of x on diagonal number k, and zeros elsewhere."""

def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Diagonal number `offset` of two dimensions, which is the last dimension of the result."""

def diff(x: Operand, n: int = 1, axis: int = -1) -> Tensor:
    """x[i + 1] - x[i] along axis, n times; of booleans, whether they are unequal."""

def digitize(x: Operand, bins: Operand) -> Tensor:
    """In which of the bins that numbers (R,) bound x lies, int64: of ascending ones i where
    bins[i - 1] <= x < bins[i], 0 below all of them, R from the last on; of descending ones i where
    bins[i - 1] > x >= bins[i]."""

def divide(x: Operand, y: Operand) -> Tensor:
    """x / y, as IEEE 754 has it for y = 0. x, y: float32 or float64, both alike; shapes
    broadcast."""

def divide_no_nan(x: Operand, y: Operand) -> Tensor:
    """x / y, but 0 where y is 0, and so are its gradients there."""

def dot(x1: Operand, x2: Operand) -> Tensor:
    """The sum of products over the last dimension of x1 and the last but one of x2, or its only
    one: (..., K) and (..., K, N) give (..., ..., N). With a number, the product with it."""

def dropout(x: Operand, state: Operand, rate: Any, draw_offset: int = 0) -> Tensor:
    """x, of any shape, with each number zero with probability `rate` and the others multiplied with
    1 / (1 - rate). state: (2,), int64, a generator's key and count of draws, to which `draw_offset`
    is added; the gradient drops the same ones."""

def dropout_attention(
    query: Operand,
    key: Operand,
    value: Operand,
    state: Operand,
    mask: Operand | None = None,
    *,
    rate: Any,
    draw_offset: int = 0,
    scale: Any = None,
    is_causal: bool = False,
) -> Tensor:
    """`attention` with `dropout` of the weights, (B, N, T, S): of those each is zero with
    probability `rate`, and the others are multiplied with 1 / (1 - rate), but of a query that sees
    no key none. state, draw_offset: as for dropout."""

def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x, or alpha (e^x - 1) where x is negative. x: any shape, float32 or float64; the result has
    both."""

def empty_like(x: Operand, dtype: Any = None) -> Tensor:
    """The same as zeros_like."""

def equal(x: Operand, y: Operand) -> Tensor:
    """True where x is y, else False; NaN is unequal to everything. x, y: float32, float64, int64,
    int32, uint8 or bool, both alike; shapes broadcast."""

def erf(x: Operand) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x. x: any shape,
    float32 or float64; the result has both."""

def erfc(x: Operand) -> Tensor:
    """1 - erf(x), with all its digits however small it is. x: any shape, float32 or float64; the
    result has both."""

def erfinv(x: Operand) -> Tensor:
    """The x of which erf is: infinite at 1 and -1, NaN beyond. x: any shape, float32 or float64;
    the result has both."""

def exp(x: Operand) -> Tensor:
    """e^x. x: any shape, float32 or float64; the result has both."""

def exp2(x: Operand) -> Tensor:
    """2^x."""

def expand_dims(x: Operand, axis: Any) -> Tensor:
    """x with new dimensions of extent 1, at the places `axis` (an integer or several) of the
    result. The memory is shared with x."""

def expm1(x: Operand) -> Tensor:
    """e^x - 1, with all its digits next to 0. x: any shape, float32 or float64; the result has
    both."""

def fabs(x: Operand) -> Tensor:
    """|x|, a float also of integers."""

def fix(x: Operand) -> Tensor:
    """x without its fraction, a float. Its gradient is 0. x: any shape, float32 or float64; the
    result has both."""

def flip(x: Operand, axis: Any = None) -> Tensor:
    """x with its elements backwards along `axis`: an integer, several, or None for all."""

def fliplr(x: Operand) -> Tensor:
    """x with its columns (dimension 1) in reverse order."""

def flipud(x: Operand) -> Tensor:
    """x with its rows (dimension 0) in reverse order."""

def floor(x: Operand) -> Tensor:
    """The largest whole number up to x, a float. Its gradient is 0. x: any shape, float32 or
    float64; the result has both."""

def floor_divide(x: Operand, y: Operand) -> Tensor:
    """floor(x / y), as in NumPy and Python; of integers, 0 where y is 0. Its gradient is 0. x, y:
    float32, float64, int64, int32 or uint8, both alike; shapes broadcast."""

def fmax(x: Operand, y: Operand) -> Tensor:
    """The larger of x and y, the other one where one is NaN."""

def fmin(x: Operand, y: Operand) -> Tensor:
    """The smaller of x and y, the other one where one is NaN."""

def fmod(x: Operand, y: Operand) -> Tensor:
    """x - trunc(x / y) y, of the sign of x, as C's; of integers, 0 where y is 0."""

def full_like(x: Operand, fill_value: Any, dtype: Any = None) -> Tensor:
    """fill_value, a number or what broadcasts to it, of x's shape and, unless another is given, its
    element type."""

def gather(source: Operand, order: Operand, cursor: Operand, rows: Any) -> Tensor:
    """Rows of source: those that `order` names from place `cursor` on. order: int64; cursor: int64,
    one element. It has no gradient."""

def gcd(x: Operand, y: Operand) -> Tensor:
    """The greatest common divisor of |x| and |y|, by Euclid's algorithm; of x and 0 it is |x|. x,
    y: int64, int32 or uint8, both alike; shapes broadcast."""

def gelu(x: Operand, approximate: bool = True) -> Tensor:
    """x Phi(x), Phi being the normal CDF; by default, as in Keras, x (1 + tanh(sqrt(2 / pi) (x +
    0.044715 x^3))) / 2 instead, which is within 5e-4 of it."""

def gelu_erf(x: Operand) -> Tensor:
    """x Phi(x), Phi being the normal CDF. x: any shape, float32 or float64; the result has both."""

def gelu_tanh(x: Operand) -> Tensor:
    """gelu by way of tanh: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. x: any shape, float32
    or float64; the result has both."""

def general_relu(
    x: Operand,
    negative_slope: float = 0.0,
    max_value: float = ...,
    threshold: float = 0.0,
) -> Tensor:
    """x, but max_value at most, and negative_slope (x - threshold) up to the threshold, where its
    gradient is negative_slope; from max_value on it is 0. x: any shape, float32 or float64; the
    result has both."""

def glu(x: Operand, axis: int = -1) -> Tensor:
    """a sigmoid(b), a and b being the halves of x along axis (Dauphin et al., 2017)."""

def greater(x: Operand, y: Operand) -> Tensor:
    """True where x is greater than y, else False; NaN is unequal to everything. x, y: float32,
    float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def greater_equal(x: Operand, y: Operand) -> Tensor:
    """True where x is at least y, else False; NaN is unequal to everything. x, y: float32, float64,
    int64, int32, uint8 or bool, both alike; shapes broadcast."""

def hard_shrink(x: Operand, threshold: float = 0.5) -> Tensor:
    """x; 0 where |x| is at most the threshold. NaN stays. x: any shape, float32 or float64; the
    result has both."""

def hard_sigmoid(x: Operand) -> Tensor:
    """(x + 3) / 6, but 0 at least and 1 at most; its gradient at -3 and 3 is 0. x: any shape,
    float32 or float64; the result has both."""

def hard_silu(x: Operand) -> Tensor:
    """x hard_sigmoid(x): 0 up to -3, x from 3 on, x (x + 3) / 6 between. x: any shape, float32 or
    float64; the result has both."""

def hard_tanh(x: Operand) -> Tensor:
    """x, but -1 at least and 1 at most; its gradient at -1 and 1 is 1, as on JAX and TensorFlow. x:
    any shape, float32 or float64; the result has both."""

def heaviside(x: Operand, y: Operand) -> Tensor:
    """0 where x is negative, 1 where it is positive, y where it is 0; the gradient of x is 0."""

def hypot(x: Operand, y: Operand) -> Tensor:
    """sqrt(x^2 + y^2), which overflows only if the result does; its gradient at 0 is 0. x, y:
    float32 or float64, both alike; shapes broadcast."""

def imag(x: Operand) -> Tensor:
    """Zeros of x's shape and type: all numbers here are real."""

def in_top_k(targets: Operand, predictions: Operand, k: Any) -> Tensor:
    """Whether fewer than k of a row of predictions (..., C) are greater than that at its target
    (...), int64. A target that is no column, and a prediction NaN, count as the smallest of all."""

def inner(x1: Operand, x2: Operand) -> Tensor:
    """The sum of products over the last dimensions of both: (..., K) and (..., K) give (..., ...).
    With a number, the product with it."""

def isclose(
    x: Operand,
    y: Operand,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Whether |x - y| <= atol + rtol |y|; infinities are close to themselves, NaN to NaN if
    equal_nan."""

def isfinite(x: Operand) -> Tensor:
    """Whether x is neither NaN nor infinite. x: any shape, float32 or float64; the result has the
    shape."""

def isin(x1: Operand, x2: Operand, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of x1 is one of x2's, or, with invert, is none. NaN is in nothing.
    assume_unique: taken and not needed."""

def isinf(x: Operand) -> Tensor:
    """Whether x is infinite. x: any shape, float32 or float64; the result has the shape."""

def isnan(x: Operand) -> Tensor:
    """Whether x is NaN. x: any shape, float32 or float64; the result has the shape."""

def isneginf(x: Operand) -> Tensor:
    """Whether x is -inf."""

def isposinf(x: Operand) -> Tensor:
    """Whether x is inf."""

def isreal(x: Operand) -> Tensor:
    """True everywhere, NaN among them: all numbers here are real."""

def kron(x1: Operand, x2: Operand) -> Tensor:
    """Kronecker's product: a block x1[i, j, ...] x2 for each element of x1."""

def layer_norm(x: Operand, gamma: Operand, beta: Operand, epsilon: float = 0.001) -> Tensor:
    """Rows of x (N, C) less their mean, over their deviation, times gamma (C,) plus beta (C,):
    gamma (x - mean) / sqrt(variance + epsilon) + beta, the variance that of the C numbers
    (biased)."""

def lcm(x: Operand, y: Operand) -> Tensor:
    """The least common multiple of |x| and |y|, 0 where one is 0. x, y: integers; shapes
    broadcast."""

def ldexp(x: Operand, y: Operand) -> Tensor:
    """x 2^y. y: integers; shapes broadcast."""

def leaky_relu(x: Operand, negative_slope: float = 0.2) -> Tensor:
    """x, or negative_slope x where x is negative; its gradient at 0 is negative_slope, as in
    PyTorch and TensorFlow. x: any shape, float32 or float64; the result has both."""

def left_shift(x: Operand, y: Operand) -> Tensor:
    """x 2^y, its lowest bits as many as x has: 0 where they are all shifted out. x, y: int64, int32
    or uint8, both alike; shapes broadcast."""

def less(x: Operand, y: Operand) -> Tensor:
    """True where x is less than y, else False; NaN is unequal to everything. x, y: float32,
    float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def less_equal(x: Operand, y: Operand) -> Tensor:
    """True where x is at most y, else False; NaN is unequal to everything. x, y: float32, float64,
    int64, int32, uint8 or bool, both alike; shapes broadcast."""

def linear(
    x: Operand,
    w: Operand,
    bias: Operand | None = None,
    *,
    activation: Any = None,
) -> Tensor:
    """activation(x w + bias) for x (N, K), w (K, M), bias (M,) or none. activation: None, or the
    name of a function of one number whose derivative follows from its result: 'relu', 'sigmoid',
    'tanh', 'exp'."""

def log(x: Operand) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below. x: any shape, float32 or float64; the result has
    both."""

def log10(x: Operand) -> Tensor:
    """The logarithm of base 10, ln(x) / ln(10); -inf at 0, NaN below."""

def log1p(x: Operand) -> Tensor:
    """ln(1 + x), with all its digits next to 0; -inf at -1, NaN below. x: any shape, float32 or
    float64; the result has both."""

def log2(x: Operand) -> Tensor:
    """The logarithm of base 2, exact for its powers; -inf at 0, NaN below. x: any shape, float32 or
    float64; the result has both."""

def log_sigmoid(x: Operand) -> Tensor:
    """log(sigmoid(x)) = -log(1 + e^-x). x: any shape, float32 or float64; the result has both."""

def log_softmax(x: Operand, axis: int = -1) -> Tensor:
    """x - log(sum of e^x along axis), the logarithm of softmax, which neither overflows nor is -inf
    where that is 0. axis: an integer, several, or None for all."""

def logaddexp(x: Operand, y: Operand) -> Tensor:
    """ln(e^x + e^y), which does not overflow. x, y: float32 or float64, both alike; shapes
    broadcast."""

def logaddexp2(x: Operand, y: Operand) -> Tensor:
    """The logarithm of base 2 of 2^x + 2^y, which does not overflow."""

def logical_and(x: Operand, y: Operand) -> Tensor:
    """Whether both are True. x, y: bool; of other numbers 0 is False."""

def logical_not(x: Operand) -> Tensor:
    """Whether x is False. x: bool; of other numbers 0 is False."""

def logical_or(x: Operand, y: Operand) -> Tensor:
    """Whether x or y, or both, are True. x, y: bool; of other numbers 0 is False."""

def logical_xor(x: Operand, y: Operand) -> Tensor:
    """Whether one of them is True. x, y: bool; of other numbers 0 is False."""

def logsumexp(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum of e^x), which does not overflow where e^x does. axis: an integer, several, or None
    for all; keepdims keeps them with extent 1."""

def matmul(
    a: Operand,
    b: Operand,
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
) -> Tensor:
    """The matrix product of a (..., M, K) and b (..., K, N), either of them transposed first if its
    flag is set: (..., M, N). Leading dimensions broadcast; a vector is a row on the left and a
    column on the right, and its dimension is not in the result. Of integers int64 or int32, exact
    but for overflow."""

def max(x: Operand, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element of x, NaN if one is; equal ones share the gradient, as in TensorFlow and
    JAX. axis: an integer, several, or None for all; keepdims keeps them with extent 1; initial: a
    number that counts as one more element."""

def max_pool(
    inputs: Operand,
    pool_size: Any,
    strides: Any = None,
    padding: str = 'valid',
    data_format: Any = None,
) -> Tensor:
    """The largest element of each window of `pool_size` along the dimensions between rows and
    channels: inputs (N, T, C), (N, H, W, C) or (N, D, H, W, C); with data_format "channels_first"
    (N, C, ...), which is transposed twice. A window begins every `strides` elements, pool_size if
    None. padding: "valid", whole windows alone; "same", ceil(extent / stride) of them, of whose
    elements those count that are there. A result is NaN if an element of its window is. The
    gradient is that of the first largest element, as in PyTorch and TensorFlow. Keras's arguments.
    """

def maximum(x: Operand, y: Operand) -> Tensor:
    """The larger of x and y, NaN if either is; where they are equal the gradient goes to x. x, y:
    float32, float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def mean(x: Operand, axis: Any = None, keepdims: bool = False, accumulate: bool = False) -> Tensor:
    """The mean of x, a float also of integers; NaN of none. axis: an integer, several, or None for
    all; keepdims keeps them with extent 1."""

def median(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle one of x in order, or the mean of the two in the middle; NaN where x has one.
    axis: an integer, several, or None for all; keepdims keeps them with extent 1."""

def min(x: Operand, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element of x, NaN if one is; equal ones share the gradient, as in TensorFlow and
    JAX. axis: an integer, several, or None for all; keepdims keeps them with extent 1; initial: a
    number that counts as one more element."""

def minimum(x: Operand, y: Operand) -> Tensor:
    """The smaller of x and y, NaN if either is; where they are equal the gradient goes to x. x, y:
    float32, float64, int64, int32, uint8 or bool, both alike; shapes broadcast."""

def mish(x: Operand) -> Tensor:
    """x tanh(softplus(x)). x: any shape, float32 or float64; the result has both."""

def mod(x: Operand, y: Operand) -> Tensor:
    """x - floor(x / y) y, exact and of the sign of y, as in NumPy and Python; of integers, 0 where
    y is 0. x, y: float32, float64, int64, int32 or uint8, both alike; shapes broadcast."""

def moments(
    x: Operand,
    axes: Any,
    keepdims: bool = False,
    synchronized: bool = False,
) -> tuple[Tensor, Tensor]:
    """The mean and the (biased) variance of x along axes: an integer, several, or None for all;
    keepdims keeps them with extent 1. synchronized: taken, and of no meaning in one process."""

def moveaxis(x: Operand, source: Any, destination: Any) -> Tensor:
    """x with the dimensions `source` (an integer or several) at the places `destination`, and the
    others in their order, copied."""

def multi_hot(
    x: Operand,
    num_classes: Any,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
) -> Tensor:
    """1 for each of `num_classes` that is among a row of x, else 0: the largest of what `one_hot`
    makes of the row's numbers. x: (C,) or (N, C)."""

def multiply(x: Operand, y: Operand) -> Tensor:
    """x y; of booleans, whether both are True. x, y: float32, float64, int64, int32, uint8 or bool,
    both alike; shapes broadcast."""

def nan_to_num(x: Operand, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """x with numbers in place of NaN and the infinities; None: the type's largest and smallest.
    Where x is replaced its gradient is 0."""

def nanargmax(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`argmax` of what is not NaN: -1 if all are, as in Keras; NumPy raises."""

def nanargmin(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`argmin` of what is not NaN: -1 if all are, as in Keras; NumPy raises."""

def nancumprod(x: Operand, axis: Any = None, dtype: Any = None) -> Tensor:
    """`cumprod` with 1 in the place of NaN."""

def nancumsum(x: Operand, axis: Any = None, dtype: Any = None) -> Tensor:
    """`cumsum` with 0 in the place of NaN."""

def nanmax(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`max` of what is not NaN: NaN if all are."""

def nanmean(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`mean` of what is not NaN: NaN of nothing. A float also of integers."""

def nanmedian(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`median` of what is not NaN: NaN if all are."""

def nanmin(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`min` of what is not NaN: NaN if all are."""

def nanpercentile(
    x: Operand,
    q: Any,
    axis: Any = None,
    method: str = 'linear',
    keepdims: bool = False,
) -> Tensor:
    """`percentile` of what is not NaN: NaN if all are."""

def nanprod(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`prod` of what is not NaN: 1 of nothing."""

def nanquantile(
    x: Operand,
    q: Any,
    axis: Any = None,
    method: str = 'linear',
    keepdims: bool = False,
) -> Tensor:
    """`quantile` of what is not NaN: NaN if all are."""

def nanstd(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The square root of `nanvar`."""

def nansum(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`sum` of what is not NaN: 0 of nothing."""

def nanvar(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`var` of what is not NaN: NaN of nothing. A float also of integers."""

def negative(x: Operand) -> Tensor:
    """-x. x: any shape, float32, float64, int64, int32 or uint8; the result has both."""

def norm(x: Operand, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """A norm of vectors along axis, of matrices along two axes, or of all of x.      Of vectors:
    None and 2, sqrt(sum of x^2); 1, sum of |x|; inf and -inf, the largest and smallest     |x|; 0,
    how many are not 0; another p, (sum of |x|^p)^(1/p). Of matrices: None and "fro",     sqrt(sum
    of x^2); 1 and -1, the largest and smallest sum of |x| over rows; inf and -inf, those     over
    columns; 2, -2 and "nuc", the largest, the smallest and the sum of the singular values,
    eagerly only. axis None: with ord None, of all elements; else x must have one dimension or two.
    As in NumPy and Keras."""

def normal(
    state: Operand,
    shape: Any,
    mean: float = 0.0,
    deviation: float = 1.0,
    draw_offset: int = 0,
    dtype: str = 'float32',
) -> Tensor:
    """Normally distributed numbers. state, draw_offset: as for dropout."""

def normalize(x: Operand, axis: int = -1, order: int = 2, epsilon: Any = None) -> Tensor:
    """x over its norm of this order along axis, which counts as epsilon (None: config.epsilon())
    at least."""

def not_equal(x: Operand, y: Operand) -> Tensor:
    """True where x is not y, else False; NaN is unequal to everything. x, y: float32, float64,
    int64, int32, uint8 or bool, both alike; shapes broadcast."""

def one_hot(
    x: Operand,
    num_classes: Any,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
) -> Tensor:
    """1 where a new dimension's index, of `num_classes`, is the number x, else 0: all zeros for a
    number that is no class. axis: where the new dimension stands. dtype: None is config.floatx().
    sparse tensors there are none."""

def ones_like(x: Operand, dtype: Any = None) -> Tensor:
    """Ones of x's shape and, unless another is given, its element type."""

def outer(x1: Operand, x2: Operand) -> Tensor:
    """All products of an element of x1 and one of x2, each as one row: (M, N)."""

def pad(x: Operand, pad_width: Any, mode: str = 'constant', constant_values: Any = None) -> Tensor:
    """x with more elements at its edges. pad_width: how many, an integer, (before, after) of all
    dimensions, or a pair for each. mode: "constant", `constant_values` (0, if None); "edge", the
    last element; "reflect", x mirrored at its last element; "symmetric", x mirrored, its last
    element too; "wrap" or "circular", x from its other end. Keras's other modes are refused."""

def percentile(
    x: Operand,
    q: Any,
    axis: Any = None,
    method: str = 'linear',
    keepdims: bool = False,
) -> Tensor:
    """The q-th percentile of x, q from 0 to 100: `quantile` of q / 100."""

def power(x: Operand, y: Operand) -> Tensor:
    """x^y, as IEEE 754 has it for 0, infinity and negative x; the gradient of y is 0 where x is not
    positive. Of integers an integer; a negative y is refused, as in NumPy, where it is known, else
    the fraction is left out. x, y: float32, float64, int64, int32 or uint8, both alike; shapes
    broadcast."""

def prod(x: Operand, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product of x, 1 of none: int32 of booleans and of uint8. Its gradient divides by nothing,
    so that zeros are numbers like others. axis: an integer, several, or None for all; keepdims
    keeps them with extent 1; dtype: to which x is cast before."""

def psnr(x: Operand, y: Operand, max_val: Any) -> Tensor:
    """The peak signal-to-noise ratio in decibels, 20 log10(max_val) - 10 log10(mean of (x - y)^2),
    of images of one shape."""

def ptp(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element of x less the smallest. axis: an integer, several, or None for all;
    keepdims keeps them with extent 1."""

def quantile(
    x: Operand,
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

def rad2deg(x: Operand) -> Tensor:
    """Radians in degrees: 180 x / pi."""

def ravel(x: Operand) -> Tensor:
    """x as one row, in the order of its elements. The memory is shared with x."""

def real(x: Operand) -> Tensor:
    """x: all numbers here are real. The memory is shared with x."""

def reciprocal(x: Operand) -> Tensor:
    """1 / x, infinite at 0. Of integers too it is a float, as in Keras."""

def relu(x: Operand) -> Tensor:
    """max(x, 0); its gradient at 0 is 0. x: any shape, float32 or float64; the result has both."""

def relu6(x: Operand) -> Tensor:
    """max(x, 0), but 6 at most; its gradient at 0 and 6 is 0."""

def repeat(x: Operand, repeats: Any, axis: Any = None) -> Tensor:
    """x with each element along `axis` `repeats` times in a row: a number, or one for each element;
    None for axis repeats all elements as one row. While a step is recorded, repeats must be
    known: numbers or an array, no tensor that the step computes."""

def reshape(x: Operand, newshape: Any) -> Tensor:
    """x under another shape with as many elements; one extent may be -1. The memory is shared with
    x."""

def right_shift(x: Operand, y: Operand) -> Tensor:
    """floor(x / 2^y). x, y: int64, int32 or uint8, both alike; shapes broadcast."""

def rint(x: Operand) -> Tensor:
    """The whole number nearest to x, a float; of two, the even one. Its gradient is 0. x: any
    shape, float32 or float64; the result has both."""

def roll(x: Operand, shift: Any, axis: Any = None) -> Tensor:
    """x with its elements moved on by `shift` places along `axis`, those beyond the end to its
    beginning: an integer or several of both; None for axis moves all elements as one row."""

def rot90(x: Operand, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """x turned by k quarters, from the first of two dimensions `axes` towards the second."""

def round(x: Operand, decimals: int = 0) -> Tensor:
    """x rounded to so many decimals, of two nearest numbers to the even one; to tens, hundreds, ...
    where decimals is negative. Of x's type; its gradient is 0."""

def rsqrt(x: Operand) -> Tensor:
    """1 / sqrt(x); infinite at 0, NaN below. x: any shape, float32 or float64; the result has
    both."""

def scatter(indices: Operand, values: Operand, shape: Any) -> Tensor:
    """Zeros of `shape` with values added at the places that `indices` name: as for
    `scatter_update`."""

def scatter_update(
    inputs: Operand,
    indices: Operand,
    updates: Operand,
    reduction: Any = None,
) -> Tensor:
    """inputs with updates at the places that `indices` name. indices: (M, K), int64, M places by
    their indices of the first K dimensions, negative ones counted from the end; updates: (M, ...),
    of the dimensions that are left. reduction: None, the last update of a place stands there;
    "add", "max", "min", "mul" combine what stands there with each. "mul" has no gradient."""

def searchsorted(sorted_sequence: Operand, values: Operand, side: str = 'left') -> Tensor:
    """Where values, of any shape, would be put into an ascending sequence (R,) to keep it so,
    int64: 'left', before its equals; 'right', behind them. NaN is behind all numbers."""

def selu(x: Operand) -> Tensor:
    """1.0507009873554805 x, or 1.758099340847377 (e^x - 1) where x is negative. x: any shape,
    float32 or float64; the result has both."""

def separable_conv(
    inputs: Operand,
    depthwise_kernel: Operand,
    pointwise_kernel: Operand,
    strides: int = 1,
    padding: str = 'valid',
    data_format: Any = None,
    dilation_rate: int = 1,
) -> Tensor:
    """`depthwise_conv` of images (N, D..., C) by depthwise_kernel (K..., C, M), and of its result
    the `conv` by pointwise_kernel (1..., C M, F): (N, P..., F). The rest as in `conv`."""

def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + e^-x). x: any shape, float32 or float64; the result has both."""

def sigmoid_cross_entropy(z: Operand, target: Operand) -> Tensor:
    """max(z, 0) - z target + log(1 + e^-|z|): the binary cross-entropy of sigmoid(z). z, target:
    float32 or float64, both alike; of one shape."""

def sign(x: Operand) -> Tensor:
    """1 where x is positive, -1 where it is negative, 0 at 0, NaN of NaN. Its gradient is 0. x: any
    shape, float32, float64, int64, int32 or uint8; the result has both."""

def signbit(x: Operand) -> Tensor:
    """Whether x has a minus: of -0.0 and some NaN too. x: any shape, float32, float64, int64 or
    int32; the result has the shape."""

def silu(x: Operand) -> Tensor:
    """x sigmoid(x). x: any shape, float32 or float64; the result has both."""

def sin(x: Operand) -> Tensor:
    """The sine of x; NaN at infinity. x: any shape, float32 or float64; the result has both."""

def sinc(x: Operand) -> Tensor:
    """sin(pi x) / (pi x); 1 at 0, where its gradient is 0."""

def sinh(x: Operand) -> Tensor:
    """(e^x - e^-x) / 2."""

def slice_copy(x: Operand, key: Any) -> Tensor:
    """x[key], copied, for a key of integers, slices, None and Ellipsis, as NumPy has it. x: any
    element type."""

def soft_shrink(x: Operand, threshold: float = 0.5) -> Tensor:
    """x, threshold nearer to 0; 0 where |x| is at most the threshold. NaN stays. x: any shape,
    float32 or float64; the result has both."""

def softmax(x: Operand, axis: int = -1) -> Tensor:
    """e^x over the sum of e^x along axis: an integer, several, or None for all. x: any shape of one
    dimension or more, float32 or float64; of no elements along axis, none."""

def softmax_cross_entropy(
    z: Operand,
    labels: Operand,
    p: Operand | None = None,
    row_max: Operand | None = None,
    exp_sum: Operand | None = None,
) -> Tensor:
    """-log(softmax(z)[label]) of each row of z (N, C); labels: (N,), or N in any shape, int64. p,
    row_max and exp_sum, if at hand, are what softmax made of z."""

def softplus(x: Operand) -> Tensor:
    """log(1 + e^x). x: any shape, float32 or float64; the result has both."""

def softsign(x: Operand) -> Tensor:
    """x / (1 + |x|). x: any shape, float32 or float64; the result has both."""

def sort(x: Operand, axis: int = -1) -> Tensor:
    """x in ascending order along axis (None: all as one row): NaN last, equal elements as they
    stood, which matters to their gradients."""

def space_to_depth(x: Operand, block_size: Any, data_format: str = 'channels_last') -> Tensor:
    """x (N, H, W, C) as (N, H / b, W / b, C b^2): what `depth_to_space` undoes."""

def sparse_categorical_accuracy(p: Operand, labels: Operand) -> Tensor:
    """1 where the largest of a row of p (N, C) stands at the label (N,), else 0; of equals the
    first counts."""

def sparse_categorical_crossentropy(
    target: Operand,
    output: Operand,
    from_logits: bool = False,
    axis: int = -1,
) -> Tensor:
    """-log(output[target]) along axis, target (...) or (..., 1) the indices of classes, int64, for
    output (..., C), which is kept 1e-7 away from 0 and 1 and divided by its sum. from_logits: it is
    what a softmax would make probabilities of."""

def sparse_plus(x: Operand) -> Tensor:
    """0 up to -1, x from 1 on, (x + 1)^2 / 4 between. x: any shape, float32 or float64; the result
    has both."""

def sparse_sigmoid(x: Operand) -> Tensor:
    """0 up to -1, 1 from 1 on, (x + 1) / 2 between; its gradient at -1 and 1 is 0. x: any shape,
    float32 or float64; the result has both."""

def sparsemax(x: Operand, axis: int = -1) -> Tensor:
    """max(x - level, 0), the level such that the sum along axis is 1: the nearest point of the
    simplex (Martins and Astudillo, 2016). In Keras 3.15 the sum is 1 only where one element is
    left."""

def sqrt(x: Operand) -> Tensor:
    """The square root; NaN below 0. x: any shape, float32 or float64; the result has both."""

def square(x: Operand) -> Tensor:
    """x^2. x: any shape, float32, float64, int64, int32 or uint8; the result has both."""

def squared_difference(x: Operand, y: Operand) -> Tensor:
    """(x - y)^2. x, y: float32 or float64, both alike; shapes broadcast."""

def squareplus(x: Operand, b: float = 4.0) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2. x: any shape, float32 or float64; the result has both."""

def squeeze(x: Operand, axis: Any = None) -> Tensor:
    """x without dimensions of extent 1: all of them, or those that `axis` (an integer or several)
    names. The memory is shared with x."""

def std(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The square root of `var`. axis: an integer, several, or None for all; keepdims keeps them
    with extent 1."""

def stop_gradient(x: Operand) -> Tensor:
    """x, through which no gradient goes. The memory is shared with x."""

def subtract(x: Operand, y: Operand) -> Tensor:
    """x - y. x, y: float32, float64, int64, int32 or uint8, both alike; shapes broadcast."""

def sum(x: Operand, axis: Any = None, keepdims: bool = False, accumulate: bool = False) -> Tensor:
    """The sum of x: int32 of booleans and of uint8. axis: an integer, several, or None for all;
    keepdims keeps them with extent 1."""

def sums_about_thresholds(counts: Operand) -> tuple[Tensor, Tensor]:
    """Of counts (S, L, K + 1), by how many thresholds lie below a prediction: the sums of those
    above each threshold, counts[..., t + 1:], and of the others, both (S, L, K)."""

def swapaxes(x: Operand, axis1: Any, axis2: Any) -> Tensor:
    """x with two dimensions exchanged, copied."""

def take(x: Operand, indices: Operand, axis: Any = None) -> Tensor:
    """The rows of x along `axis` that `indices` name, in place of that dimension, as numpy.take has
    it; for None, elements of all of x as one row. x: any element type; indices: any shape, int64,
    counted from the end where they are negative; one out of range is an IndexError (in Keras its
    backends differ: NaN, or the nearest). Gradients of a row taken twice are added, in the order of
    the indices."""

def take_along_axis(x: Operand, indices: Operand, axis: Any = None) -> Tensor:
    """The elements of x that `indices` name along `axis`, each in its own row: y[a, m, b] =
    x[a, indices[a, m, b], b]. indices: int64, of as many dimensions as x, which broadcast with it
    but along the axis; negative ones count from the end. None for axis: of x and of the indices as
    one row."""

def tan(x: Operand) -> Tensor:
    """sin(x) / cos(x); NaN at infinity. x: any shape, float32 or float64; the result has both."""

def tanh(x: Operand) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x). x: any shape, float32 or float64; the result has both."""

def tanh_shrink(x: Operand) -> Tensor:
    """x - tanh(x)."""

def tensordot(x1: Operand, x2: Operand, axes: int = 2) -> Tensor:
    """The sum of products over several dimensions: the last `axes` of x1 and the first of x2, or
    those that a pair of lists (or of integers) names. Left are those of x1, then those of x2."""

def threshold(x: Operand, threshold: Any, default_value: Any) -> Tensor:
    """x where it is above the threshold, default_value elsewhere, where the gradient is 0."""

def tile(x: Operand, repeats: Any) -> Tensor:
    """x side by side with itself, `repeats` times along each dimension: as many numbers as it has
    dimensions; where they are fewer they are those of the last ones, where more, of new ones."""

def top_k(x: Operand, k: Any, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last dimension, the largest first (whatever `sorted` says),
    and their indices, int64: NaN before all others, of equal ones the first. The gradient goes to
    the elements found."""

def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of diagonal number `offset` of two dimensions."""

def transpose(x: Operand, axes: Any = None) -> Tensor:
    """x with its dimensions in another order, copied: reversed, or by `axes`, a permutation."""

def trapezoid(y: Operand, x: Operand | None = None, *, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral of y along axis by the trapezoidal rule: the sum of d (y[i] + y[i + 1]) / 2.
    d: the differences of x, of y's shape or (its extent along axis,), else dx."""

def tril(x: Operand, k: int = 0) -> Tensor:
    """x with zeros above diagonal number k of its last two dimensions."""

def triu(x: Operand, k: int = 0) -> Tensor:
    """x with zeros below diagonal number k of its last two dimensions."""

def trunc(x: Operand) -> Tensor:
    """x without its fraction, of x's type; its gradient is 0."""

def uniform(
    state: Operand,
    shape: Any,
    low: float = 0.0,
    high: float = 1.0,
    draw_offset: int = 0,
    dtype: str = 'float32',
) -> Tensor:
    """Numbers in [low, high), each as likely as any other. state, draw_offset: as for dropout."""

def vander(x: Operand, N: Any = None, increasing: bool = False) -> Tensor:
    """The matrix (n, N) of powers of x (n,): x^(N - 1), ..., x, 1, or the other way round if
    increasing. N: how many; None is n."""

def var(x: Operand, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of (x - mean of x)^2, a float also of integers; NaN of none. axis: an integer,
    several, or None for all; keepdims keeps them with extent 1."""

def vdot(x1: Operand, x2: Operand) -> Tensor:
    """The sum of products of the elements of x1 and x2, each as one row."""

def where(condition: Operand, x: Operand, y: Operand) -> Tensor:
    """x where condition is True, y elsewhere. condition: bool; of other numbers 0 is False. Of a
    condition alone, where it is True: `nonzero`. x, y: float32, float64, int64, int32, uint8 or
    bool, both alike; shapes broadcast."""

def zeros_like(x: Operand, dtype: Any = None) -> Tensor:
    """Zeros of x's shape and, unless another is given, its element type."""

def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """x1 and x2 side by side along `axis`; None joins their elements as one row."""

def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Numbers from start on, in steps, before stop; one number alone is the stop, from 0 on. dtype:
    None is int32 of integers, else config.floatx()."""

def array(x: Any, dtype: Any = None) -> Any:
    """The same as convert_to_tensor."""

def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list:
    """As `split`; of pieces that cannot be of one size the first have one more."""

def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The mean of x along axis (an integer, several, or None for all), weighted: sum of x weights
    divided by sum of weights. weights: of x's shape, or one row along axis; None: all are 1. A
    float also of integers."""

def bartlett(x: Any) -> Any:
    """Bartlett's window of x points, a triangle: 1 - |2 n / (x - 1) - 1|."""

def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 0.001,
) -> Any:
    """scale (x - mean) / sqrt(variance + epsilon) + offset, all of the extent of x along axis:
    batch normalisation by given statistics (Ioffe and Szegedy 2015), with gradients of them too."""

def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each whole number from 0 on is in x (N,), int32, or the sums of its weights (N,);
    of x (M, N), row by row. The result has max(x) + 1 elements, or minlength if that is more.
    Eagerly only: a recorded step has fixed shapes. No gradient. sparse: False."""

def blackman(x: Any) -> Any:
    """Blackman's window of x points: 0.42 - 0.5 cos(t) + 0.08 cos(2 t), t = 2 pi n / (x - 1)."""

def cast(x: Any, dtype: Any) -> Any:
    """x as another element type, with a gradient where both are floats: see `Tensor.astype`."""

def cholesky(x: Any, upper: bool = False) -> Any:
    """The lower triangular L (..., N, N) with L L^T = x, or, with upper, its transpose. x:
    symmetric and positive definite; its lower triangle is read. Eagerly only."""

def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """The inverse of the matrix whose Cholesky factor x (..., N, N) is: of x x^T, or, with upper,
    of x^T x. Eagerly only."""

def concatenate(xs: Sequence, axis: int = 0) -> Any:
    """The tensors of a list, side by side along `axis`: of shapes that are alike but there. axis
    None joins all their elements as one row."""

def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """true_fn() if pred is True, else false_fn()."""

def convert_to_numpy(x: Any) -> Any:
    """The values as a NumPy array. While a step is recorded there are none yet, and it raises."""

def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """A tensor of an array, a number or nested lists, copied. A tensor stays what it is, or is cast
    to dtype. dtype: None keeps an array's; of Python's floats it is config.floatx(), of its
    integers int32, or int64 where they are larger. Sparse and ragged tensors there are none."""

def custom_gradient(f: Callable) -> Callable:
    """A function of tensors whose gradient is one's own. f(*args) returns (results, grad):
    grad(*upstream), given a gradient for each result, returns one for each of args, or None."""

def det(x: Any) -> Any:
    """The determinants of square matrices (..., N, N). Eagerly only."""

def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """softmax(scale Q K^T + bias) V for each head: what a query finds among the values, by how its
    product with each key compares. Vaswani and others, "Attention is all you need", 2017. query:
    (B, T, N, H); key: (B, S, K, H); value: (B, S, K, V); the result: (B, T, N, V). N a multiple of
    K: so many heads of queries share one of keys (Ainslie and others, "GQA", 2023). bias: what
    broadcasts to the scores, (B, N, T, S), and is added. mask: booleans that do; where False, a
    query does not see the key. is_causal: query t sees the keys 0 to t alone. scale: None is 1 /
    sqrt(H). A query that sees no key has the mean of all values, as on Keras's TensorFlow and JAX;
    its gradient goes to these alone. Keras's arguments; flash_attention changes nothing, and
    attn_logits_soft_cap, of TPUs, must be None."""

def dsplit(x: Any, indices_or_sections: Any) -> list:
    """x split along dimension 2."""

def dstack(xs: Sequence) -> Any:
    """The tensors of a list along dimension 2; rows (N,) as (1, N, 1), matrices as (N, M, 1)."""

def dtype(x: Any) -> str:
    """The name of the element type."""

def eigh(x: Any) -> tuple:
    """The eigenvalues (..., N) of symmetric matrices (..., N, N), in ascending order, and their
    eigenvectors, in the columns of (..., N, N). The lower triangle is read. Eigenvectors have a
    gradient where all eigenvalues differ. Eagerly only."""

def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by Einstein's convention: subscripts such as "bij,bjk->bik" name the
    dimensions of each operand and of the result; what the result does not name is summed. "..." are
    any dimensions, which broadcast. Without "->" the result has those named once, in the order of
    the alphabet. A letter twice in an operand is its diagonal. Operands are multiplied two by two
    as products of matrices, those first that take the fewest multiplications; of integers int64 or
    int32."""

def empty(shape: Any, dtype: Any = None) -> Any:
    """The same as zeros: memory is never shown as it was found."""

def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """A matrix (N, M), square for None, with ones on diagonal number k and zeros elsewhere."""

def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """init_val, replaced by body_fun(i, value) for i from lower to upper - 1."""

def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """fill_value, a number or what broadcasts to the shape. dtype: None is config.floatx()."""

def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from start to stop, each the same multiple of the one before."""

def get_item(x: Any, key: Any) -> Any:
    """x[key]."""

def hamming(x: Any) -> Any:
    """Hamming's window of x points: 0.54 - 0.46 cos(2 pi n / (x - 1))."""

def hanning(x: Any) -> Any:
    """Hann's window of x points: 0.5 - 0.5 cos(2 pi n / (x - 1))."""

def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> Any:
    """How many elements of x are in each of `bins` intervals of one length between the bounds
    `range`, int32, and the bins + 1 ends of the intervals; None: between the smallest and the
    largest. The last interval has its end. Eagerly only. No gradient."""

def hsplit(x: Any, indices_or_sections: Any) -> list:
    """x split along dimension 1; a row, along 0."""

def hstack(xs: Sequence) -> Any:
    """The tensors of a list side by side along dimension 1; rows and numbers, along 0."""

def identity(n: int, dtype: Any = None) -> Any:
    """A square matrix with ones on its diagonal and zeros elsewhere."""

def inv(x: Any) -> Any:
    """The inverse of square matrices (..., N, N). Eagerly only."""

def is_tensor(x: Any) -> bool:
    """Whether x is a tensor of fastnn."""

def kaiser(x: Any, beta: Any) -> Any:
    """Kaiser's window of x points: I0(beta sqrt(1 - (2 n / (x - 1) - 1)^2)) / I0(beta)."""

def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
) -> Any:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance those along axis (an
    integer or several), of whose extents gamma and beta are (Ba et al. 2016). epsilon: None is
    config.epsilon()."""

def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from start to stop, one as far from the next as any other; without the last, if
    not `endpoint`. start, stop: numbers or arrays, for each of which there is a row along `axis`.
    dtype: None is config.floatx(). retstep: return (numbers, step)."""

def logdet(x: Any) -> Any:
    """The logarithms of determinants of positive definite matrices (..., N, N). Eagerly only."""

def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """base to the powers that `linspace` gives."""

def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The shortest x for which a x - b is shortest. a: (M, N); b: (M,) or (M, K). rcond: singular
    values of a below rcond times the largest count as 0; None is the larger extent times the type's
    epsilon. Eagerly only."""

def lu_factor(x: Any) -> tuple:
    """L and U of matrices (..., M, N), in one, without L's diagonal of ones, and the rows (..., K),
    int32, that the first ones were exchanged with in turn: partial pivoting. K is the smaller
    extent. No gradient. Eagerly only."""

def map(f: Callable, xs: Any) -> Any:
    """f of each row of xs, a tensor or a structure of tensors, stacked."""

def matrix_rank(x: Any, tol: Any = None) -> Any:
    """How many singular values of matrices (..., M, N) exceed tol, int32; None: the largest times
    the larger extent times the type's epsilon. Eagerly only."""

def meshgrid(*x: Any, indexing: str = 'xy') -> list:
    """The coordinates of a grid, from those along each of its axes: as many tensors as there are
    rows x, all of the grid's shape. indexing: "ij", the axes in order, or "xy", the first two
    exchanged."""

def ndim(x: Any) -> int:
    """The number of dimensions."""

def nonzero(x: Any) -> tuple:
    """Where x is not 0: the indices along each dimension, a row int32 each. How many there are
    depends on the values, so a step that is recorded cannot know it: it raises, and names `where`
    with three arguments."""

def ones(shape: Any, dtype: Any = None) -> Any:
    """Ones. dtype: None is config.floatx()."""

def pinv(x: Any, rcond: Any = None) -> Any:
    """The Moore-Penrose inverse (..., N, M) of matrices (..., M, N). Singular values below rcond
    (None: the larger extent times the type's epsilon) times the largest count as 0. Eagerly
    only."""

def qr(x: Any, mode: str = 'reduced') -> tuple:
    """Q (..., M, K) with orthonormal columns and the upper triangular R (..., K, N) with Q R = x
    (..., M, N): K is the smaller extent, or, of mode "complete", M. Gradients: of reduced ones
    where M >= N. Eagerly only."""

def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """A tensor whose dimensions are split, put in order and joined as a pattern says: on its left
    the names of the dimensions, on its right the same ones in their new order. Several names in
    parentheses are one dimension; axes_lengths gives the extents of all of them but one."""

def rms_normalization(
    x: Any,
    scale: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
) -> Any:
    """scale x / sqrt(mean of x^2 + epsilon), the mean along axis (an integer or several) (Zhang and
    Sennrich 2019). epsilon: None is config.epsilon()."""

def saturate_cast(x: Any, dtype: Any) -> Any:
    """The same as cast, but what dtype does not reach becomes its nearest number."""

def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple:
    """(carry, ys): carry begins as init, and carry, y = f(carry, row of xs) goes through the rows,
    from the last one if `reverse`; ys are the stacked y, None if they are. length: how often, where
    xs is None."""

def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,
) -> Any:
    """The largest likewise, -inf or the lowest number of the type where there is none."""

def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,
) -> Any:
    """The smallest likewise, inf or the highest number of the type where there is none."""

def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,
) -> Any:
    """The products likewise, 1 where there is none. It has no gradient."""

def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,
) -> Any:
    """The sums of the rows of data (N, ...) whose number, of segment_ids (N,), is alike: row s of
    the result is that of number s, 0 where there is none. num_segments: how many rows the result
    has; None is one more than the largest number, eagerly. Rows of other numbers are left out, as
    in JAX."""

def select(condlist: Sequence, choicelist: Sequence, default: Any = 0) -> Any:
    """Of each element the choice whose condition is the first that is True; the default, if none
    is."""

def shape(x: Any) -> tuple[int, ...]:
    """The shape, a tuple of integers: all are known, also while a step is recorded."""

def size(x: Any) -> int:
    """The number of elements."""

def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """The part of this shape that begins at `start_indices`, one for each dimension: numbers or
    tensors, also those that a recorded step computes. -1 in shape: all that are left. A slice that
    is not within the tensor is an IndexError (JAX moves it inside)."""

def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """inputs with `updates`, of as many dimensions, in place of the part that begins at
    `start_indices`, as for `slice`."""

def slogdet(x: Any) -> tuple:
    """The signs of determinants of square matrices (..., N, N), and the logarithms of their sizes.
    Eagerly only."""

def solve(a: Any, b: Any) -> Any:
    """x of a x = b. a: (..., N, N); b: (..., N) or (..., N, K). Eagerly only."""

def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """x of a x = b, of a the upper triangle, or, with lower, the lower one. a: (..., N, N); b:
    (..., N) or (..., N, K). Eagerly only."""

def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list:
    """x cut along `axis`: into so many pieces of one size, or before each of several places."""

def stack(x: Sequence, axis: int = 0) -> Any:
    """The tensors of a list, all of one shape, along a new dimension, number `axis` of the
    result."""

def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values s (..., K) of matrices (..., M, N), in descending order, and, unless
    compute_uv is False, (u, s, v) with u s v = x: u (..., M, M) and v (..., N, N), or, without
    full_matrices, u (..., M, K) and v (..., K, N). K is the smaller extent. u and v have a gradient
    without full_matrices, where all singular values differ. Eagerly only."""

def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """branches[index](*operands), the index kept within the list."""

def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """A matrix (N, M), square for None, with ones up to diagonal number k and zeros above."""

def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements of x in ascending order (whatever `sorted` says), or its different
    slices along axis; each NaN is one of its own. With return_index, return_inverse, return_counts
    also where each stands first, which of them each element is, and how often each is there, int64,
    in a tuple. size: so many elements, cut off, or filled up with fill_value (None is the first)
    and counts of 0. Eagerly only: a recorded step has fixed shapes. No gradient."""

def unravel_index(indices: Any, shape: Any) -> tuple:
    """The index along each dimension of a tensor of this shape, for indices of its elements as one
    row: a tuple of int32. While a step is recorded, indices must be known."""

def unstack(x: Any, num: int | None = None, axis: int = 0) -> list:
    """The tensors that lie along `axis` of x, which they lack. num: how many there are, checked if
    it is given."""

def vectorized_map(function: Callable, elements: Any) -> Any:
    """The same as map: rows are gone through one after another."""

def vsplit(x: Any, indices_or_sections: Any) -> list:
    """x split along dimension 0."""

def vstack(xs: Sequence) -> Any:
    """The tensors of a list below each other, along dimension 0; rows as matrices of one row."""

def while_loop(
    cond: Callable,
    body: Callable,
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """loop_vars, replaced by body(*loop_vars) as long as cond(*loop_vars) is True, and
    maximum_iterations times at most."""

def zeros(shape: Any, dtype: Any = None) -> Any:
    """Zeros. dtype: None is config.floatx()."""

absolute = abs

amax = max

amin = min

bitwise_invert = bitwise_not

bitwise_left_shift = left_shift

bitwise_right_shift = right_shift

conj = real

conjugate = real

hard_swish = hard_silu

remainder = mod

swish = silu

true_divide = divide
