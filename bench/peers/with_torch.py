"""PyTorch, eager. In training, Adam is the default one (on a CPU neither `foreach` nor `fused`);
losses take logits."""

import os
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from bench.kinds import (
    Both,
    Chain,
    Fit,
    FitBatches,
    Loop,
    Network,
    OpCall,
    Predict,
    Product,
    Table,
    Update,
)

from .families_torch import train, write  # noqa: F401

IMPORT = "import torch"

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.set_num_interop_threads(1)
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
# by themselves, in the fastest form that there is of each
UPDATES = {
    "sgd": (torch.optim.SGD, {"fused": True}),
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "nadam": (torch.optim.NAdam, {"foreach": True}),
}


def model_of(case: Network) -> nn.Sequential:
    layers = []
    for k, n in case.pairs:
        norm = [nn.BatchNorm1d(n, eps=1e-3, momentum=0.01)] if case.norm else []
        layers += [nn.Linear(k, n), *norm, nn.ReLU()]
    del layers[len(layers) - 1 - len(norm) : -1]  # none after the last
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), case.weights(), strict=True):
            parameter.copy_(torch.from_numpy(value.T if value.ndim == 2 else value))
    return model


def fit(case: Fit):
    x, y = (torch.from_numpy(a) for a in case.data())

    def batches():
        for rows in torch.randperm(case.rows).split(case.batch):
            yield x.index_select(0, rows), y.index_select(0, rows)

    return trained(case, batches)


def fit_batches(case: FitBatches):
    given = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in case.batches()]
    return trained(case, lambda: given)


def trained(case: Fit, batches: Callable):
    """A fit of the batches that `batches()` gives for an epoch."""
    binary = case.widths[-1] == 1
    loss_of = functional.binary_cross_entropy_with_logits if binary else functional.cross_entropy

    def fresh():
        model = model_of(case)
        optimizer = OPTIMIZERS[case.optimizer](model.parameters(), lr=case.rate)

        def run():
            for _ in range(case.epochs):
                loss_sum, right = torch.zeros(()), torch.zeros(())
                for rows, targets in batches():
                    z = model(rows)
                    loss = loss_of(z, targets)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    loss_sum += loss.detach()
                    if binary:
                        right += ((z.detach() > 0) == targets).sum()
                mean = loss_sum.item() / case.steps
            return mean

        return run

    return fresh


def product(case: Product):
    a, b = (torch.from_numpy(x) for x in case.arrays())
    c = torch.empty_like(a)

    def run():
        for _ in range(case.units):
            torch.matmul(a, b, out=c)

    return run


def predict(case: Predict):
    model, row = nn.Sequential(*model_of(case), nn.Softmax(dim=1)), case.row()

    @torch.inference_mode()
    def call():
        return model(torch.from_numpy(row)).numpy()

    return call


def conv(x, kernel, strides, padding, dilation_rate):
    """Of images in PyTorch's channels_last, its faster form, with the zeros of all sides alike."""
    reach, groups = dilation_rate * (kernel.shape[0] // 2), x.shape[-1] // kernel.shape[2]
    x, kernel = x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1)
    y = functional.conv2d(x, kernel, None, strides, reach, dilation_rate, groups)
    return y.permute(0, 2, 3, 1)


def pool(function):
    """Of such images likewise."""
    return lambda x, pool_size, strides: function(
        x.permute(0, 3, 1, 2), pool_size, strides
    ).permute(0, 2, 3, 1)


OPS: dict[str, Callable] = {
    "max_pool": pool(functional.max_pool2d),
    "average_pool": pool(functional.avg_pool2d),
    "conv": conv,
    "add": torch.add,
    "matmul": torch.matmul,
    "exp": torch.exp,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "erf": torch.erf,
    "gelu": functional.gelu,
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "silu": functional.silu,
    "softplus": functional.softplus,
    "batch_norm": lambda x, gamma, beta: functional.batch_norm(
        x, None, None, gamma, beta, training=True, eps=1e-3
    ),
    "layer_norm": lambda x, gamma, beta: functional.layer_norm(
        x, gamma.shape, gamma, beta, eps=1e-3
    ),
    "attention": lambda q, k, v, is_causal: functional.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=is_causal
    ).transpose(1, 2),
    "softmax": partial(torch.softmax, dim=1),
    "sum": lambda x, axis: x.sum(dim=axis),
    "dropout": lambda x, state, rate: functional.dropout(x, rate),
    "softmax_cross_entropy": lambda z, labels: functional.cross_entropy(
        z, labels, reduction="none"
    ),
    "gather": lambda source, order, cursor, rows: source.index_select(0, order[:rows]),
}


def op(case: OpCall):
    return partial(OPS[case.op], *map(torch.from_numpy, case.arrays()), **case.attributes)


def repeated(call, times):
    def run():
        for _ in range(times):
            call()

    return run


def loop(case: Loop):
    return repeated(op(case), case.units)


def both(case: Both):
    function, inputs, upstream = (
        OPS[case.op],
        [torch.from_numpy(a) for a in case.arrays()],
        torch.from_numpy(case.upstream()),
    )
    leaves = [t.requires_grad_() for t in inputs if t.is_floating_point()]

    def call():
        torch.autograd.grad(function(*inputs, **case.attributes), leaves, upstream)

    return repeated(call, case.units)


def chain(case: Chain):
    formula, x = case.formula(torch.tanh, torch.relu), torch.from_numpy(case.array())
    return repeated(lambda: formula(x), case.units)


def table(case: Table):
    index, upstream = (torch.from_numpy(a) for a in case.data())
    rows = nn.Embedding(case.rows, case.columns, sparse=True)
    optimizer = torch.optim.SparseAdam(rows.parameters())

    def step():
        optimizer.zero_grad()
        rows(index).backward(upstream)
        optimizer.step()

    return repeated(step, case.units)


def update(case: Update):
    values, gradients = (torch.from_numpy(a) for a in case.arrays())
    parameter = nn.Parameter(values)
    parameter.grad = gradients
    kind, form = UPDATES[case.optimizer]
    return repeated(kind([parameter], lr=1e-3, **form).step, case.units)
