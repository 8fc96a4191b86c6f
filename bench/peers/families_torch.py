"""PyTorch's models, eager, with the fused Adam; images are channels_last, the faster form."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from bench.kinds import Train


def train(case: Train) -> Callable[[], Callable]:
    x, y = (torch.from_numpy(a) for a in case.data())
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def fresh():
        torch.manual_seed(0)
        model = FAMILIES[case.family](case)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)

        def run():
            for _ in range(case.units):
                z = model(x)
                loss = functional.cross_entropy(z.flatten(0, -2), y.flatten())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
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


FAMILIES: dict[str, Callable] = {"resnet": resnet}
