"""Cases of whole models: a training step of each, the memory that training takes, a process that
begins with nothing compiled; and a token that is written."""

from collections.abc import Mapping
from typing import Any

from .kinds import Case, FirstStep, Train, TrainMemory, Write

FASTER = {"torch": 1.0}


def resnet(depth: int) -> dict[str, Any]:
    """What the cases of a small ResNet share; likewise of the others."""
    return {
        "name": f"resnet-{depth}",
        "title": f"ResNet-{depth} on 28 x 28, batch 64",
        "family": "resnet",
        "depth": depth,
        "batch": 64,
        "shape": (28, 28, 1),
        "classes": 10,
        "units": 10,
    }


def gpt(length: int, batch: int, units: int) -> dict[str, Any]:
    return {
        "name": "gpt",
        "title": f"GPT-2 of 4 layers, 128 wide, contexts of {length}, batch {batch}",
        "family": "gpt",
        "depth": 4,
        "batch": batch,
        "shape": (length,),
        "classes": 65,
        "units": units,
    }


def bert() -> dict[str, Any]:
    return {
        "name": "bert",
        "title": "BERT of 2 layers, 128 wide, 40 tokens of 4,000, 6 of them masked, batch 32",
        "family": "bert",
        "depth": 2,
        "batch": 32,
        "shape": (40,),
        "classes": 4000,
        "masked": 6,
        "units": 10,
    }


def gan() -> dict[str, Any]:
    return {
        "name": "gan",
        "title": "dense GAN of 64 pixels, batch 64",
        "family": "gan",
        "depth": 2,
        "batch": 64,
        "shape": (64,),
        "classes": 0,
        "units": 50,
    }


def step(given: dict[str, Any], limits: Mapping[str, float]) -> Train:
    named = {"name": f"step-{given['name']}", "title": f"{given['title']}, a step"}
    return Train(limits=limits, limits_of_two={}, **given | named)


def around(given: dict[str, Any]) -> list[Case]:
    """What comes with steps: memory, and the first of them."""
    name, title = given["name"], given["title"]
    memory = {"name": f"memory-{name}", "title": f"{title}, peak memory of training in MB"}
    first = f"{title}, all processor time to the end of a first step, with nothing compiled"
    begin = {"name": f"first-{name}", "title": first}
    return [
        TrainMemory(limits=FASTER, **given | memory),
        FirstStep(seconds=40.0, **given | begin),  # 20 on two cores
    ]


def write() -> Write:
    limits = {"torch": 1 / 5}
    given = gpt(64, 1, 60) | {"name": "write-gpt", "title": "GPT-2 of 4 layers, 128 wide, a token"}
    return Write(limits=limits, limits_of_two={}, **given)


FAMILIES: list[Case] = [
    step(gpt(128, 8, 10), {"torch": 1 / 1.3, "jax": 1 / 2.8}),
    write(),
    step(bert(), FASTER),
    step(resnet(8), {"torch": 1 / 1.25, "jax": 1 / 2.6}),
    step(resnet(20), {"torch": 1 / 1.05, "jax": 1 / 2.4}),
    step(gan(), FASTER),
    *[case for given in (gpt(128, 8, 10), bert(), resnet(8), gan()) for case in around(given)],
]
