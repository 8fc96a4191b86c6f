"""PyTorch's models, eager, with the fused Adam; images are channels_last, the faster form."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from bench.kinds import Train, Write


def train(case: Train) -> Callable[[], Callable]:
    if case.family == "gan":
        return gan(case)
    arrays, y = case.data()
    inputs, targets = [torch.from_numpy(a) for a in arrays], torch.from_numpy(y).flatten()
    if inputs[0].ndim == 4:
        inputs = [inputs[0].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)]

    def fresh():
        torch.manual_seed(0)
        model = FAMILIES[case.family](case)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)

        def run():
            for _ in range(case.units):
                z = model(*inputs)
                loss = functional.cross_entropy(z.flatten(0, -2), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return loss.item()

        run()
        return run

    return fresh


def gan(case: Train) -> Callable[[], Callable]:
    """Both steps of `applications.GAN`, each with an optimizer of its own."""
    x, (columns,), of_logits = (
        torch.from_numpy(case.data()[0][0]),
        case.shape,
        functional.binary_cross_entropy_with_logits,
    )
    labels = torch.tensor([[1.0], [0.0]]).repeat_interleave(case.batch, 0)

    def fresh():
        torch.manual_seed(0)
        draw, tell = (
            nn.Sequential(
                *[
                    layer
                    for k, n in ((32, 128), (128, 256))
                    for layer in (nn.Linear(k, n), nn.BatchNorm1d(n, 1e-3), nn.ReLU())
                ],
                nn.Linear(256, columns),
                nn.Sigmoid(),
            ),
            nn.Sequential(
                *[
                    layer
                    for k, n in ((columns, 256), (256, 128))
                    for layer in (nn.Linear(k, n), nn.LeakyReLU(0.2), nn.Dropout(0.4))
                ],
                nn.Linear(128, 1),
            ),
        )
        of_draw, of_tell = (torch.optim.Adam(m.parameters(), fused=True) for m in (draw, tell))

        def run():
            for _ in range(case.units):
                with torch.no_grad():
                    drawn = draw(torch.randn(case.batch, 32))
                loss = of_logits(tell(torch.cat([x, drawn])), labels)
                of_tell.zero_grad()
                loss.backward()
                of_tell.step()
                tell.requires_grad_(False)
                loss = of_logits(tell(draw(torch.randn(case.batch, 32))), labels[: case.batch])
                of_draw.zero_grad()
                loss.backward()
                of_draw.step()
                tell.requires_grad_(True)
            return loss.item()

        run()
        return run

    return fresh


class Block(nn.Module):
    """Two convolutions of 3 x 3, added to the input."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.f = nn.Sequential(
            *convolution(inputs, outputs, 3, stride),
            nn.ReLU(inplace=True),
            *convolution(outputs, outputs, 3, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Sequential(*([] if same else convolution(inputs, outputs, 1, stride)))

    def forward(self, x):
        return functional.relu(self.f(x) + self.shortcut(x), inplace=True)


def convolution(inputs, outputs, size, stride):
    convolve = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return convolve, nn.BatchNorm2d(outputs)


def resnet(case: Train) -> nn.Module:
    layers, inputs = [*convolution(case.shape[-1], 16, 3, 1), nn.ReLU(inplace=True)], 16
    for stage, width in enumerate((16, 32, 64)):
        for number in range((case.depth - 2) // 6):
            layers.append(Block(inputs, width, 2 if stage and number == 0 else 1))
            inputs = width
    ends = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, case.classes)
    model = nn.Sequential(*layers, *ends)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class TransformerBlock(nn.Module):
    """x + attention, then x + a feed-forward part."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x, kept=None):
        """kept: the keys and values so far, a list to which those of x are added."""
        shape = *x.shape[:2], self.heads, -1
        q, k, v = (t.view(shape).transpose(1, 2) for t in self.c_attn(self.ln_1(x)).chunk(3, 2))
        if kept is not None:
            if kept:
                k, v = (torch.cat(pair, 2) for pair in zip(kept, (k, v), strict=True))
            kept[:] = k, v
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        x = x + self.c_proj(y.transpose(1, 2).reshape(x.shape))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, case, width=128, heads=4):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(case.classes, width), nn.Embedding(*case.shape, width)
        for table in (self.wte, self.wpe):
            nn.init.normal_(table.weight, std=0.02)
        self.h = nn.ModuleList(TransformerBlock(width, heads) for _ in range(case.depth))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens, place=0, kept=None):
        x = self.wte(tokens) + self.wpe.weight[place : place + tokens.shape[1]]
        for number, block in enumerate(self.h):
            x = block(x, kept and kept[number])
        return self.ln_f(x) @ self.wte.weight.T


class EncoderBlock(TransformerBlock):
    """The same, with all tokens seen, and normalised after each addition."""

    def __init__(self, width, heads):
        super().__init__(width, heads)
        self.mlp[1] = nn.GELU()

    def forward(self, x, mask):
        shape = *x.shape[:2], self.heads, -1
        q, k, v = (t.view(shape).transpose(1, 2) for t in self.c_attn(x).chunk(3, 2))
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.ln_1(x + self.c_proj(y.transpose(1, 2).reshape(x.shape)))
        return self.ln_2(x + self.mlp(x))


class BERT(nn.Module):
    def __init__(self, case, width=128, heads=4):
        super().__init__()
        tables = [nn.Embedding(n, width) for n in (case.classes, *case.shape, 2)]
        self.words, self.positions, self.types = tables
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(case.depth))
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(case.classes))

    def forward(self, tokens, places):
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]] + self.types.weight[0]
        x, mask = self.norm(x), (tokens != 0)[:, None, None]
        for block in self.blocks:
            x = block(x, mask)
        x = self.transform(x[torch.arange(len(x))[:, None], places])
        return x @ self.words.weight.T + self.bias


def write(case: Write) -> Callable:
    model = FAMILIES[case.family](case)

    @torch.inference_mode()
    def run():
        kept, token = [[] for _ in model.h], torch.zeros(1, 1, dtype=torch.long)
        for place in range(case.units):
            p = torch.softmax(model(token, place, kept)[0, -1], 0)
            token = torch.multinomial(p, 1)[None]
        return token

    return run


FAMILIES: dict[str, Callable] = {"bert": BERT, "gpt": GPT, "resnet": resnet}
