"""Models as tables and as pictures."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.models.plot import plot_model

from .test_functional import Scaled, two_of_two

SUMMARY = """\
Model 'two'
Layer (type)             Output shape  Weights  Bytes  Flops a row  Connected to
-----------------------  ------------  -------  -----  -----------  --------------
b (InputLayer)           (None, 4)           0    0 B            0
a (InputLayer)           (None, 3)           0    0 B            0
matmul (op)              (None, 3)           0    0 B               b
shared (Dense)           (None, 5)          20   80 B           60  a, matmul
add (op)                 (None, 5)           0    0 B               shared, shared
bn (BatchNormalization)  (None, 5)          20   80 B           20  add
inner (Sequential)       (None, 4)          24   96 B           40  bn
p (Dense)                (None, 1)           5   20 B            8  inner
q (Dense)                (None, 3)          15   60 B           99  inner
84 weights (336 B), 74 of them trainable; 256 flops a row
"""


@pytest.fixture(autouse=True)
def names_from_the_start(monkeypatch):
    monkeypatch.setattr("fastnn.registry._used_names", {})


def test_a_table_of_branches(capsys):
    model = two_of_two()
    model.name = "two"
    model.summary()
    assert capsys.readouterr().out == SUMMARY
    lines = []
    model.get_layer("inner").trainable = False
    model.summary(print_fn=lines.append, expand_nested=True, show_trainable=True)
    assert [line.split() for line in lines if "  i " in line] == [
        ["i", "(Dense)", "24", "96", "B", "40", "no"]
    ]


def test_a_subclass_in_a_table(capsys):
    model = Scaled()
    model.summary()
    assert "not built" in capsys.readouterr().out
    model(np.ones((2, 3)), np.ones((2, 1)))
    model.summary()
    assert "  ?" in capsys.readouterr().out


def test_layers_within_others_may_share_their_names():
    def part(inputs, width, name):
        inner = [layers.Dense(width, name="one"), layers.Dense(3, name="part")]
        return fastnn.Sequential([fastnn.Input((inputs,)), *inner], name=name)

    model, lines = fastnn.Sequential([part(8, 4, "part"), part(3, 50, "other")]), []
    model.summary(print_fn=lines.append, expand_nested=True)
    flops = [line.split()[-1] for line in lines[3:-1]]
    # 2 flops for each weight of a kernel
    assert flops == [str(2 * n) for n in (8 * 4 + 4 * 3, 32, 12, 3 * 50 + 50 * 3, 150, 150)]


def boxes(drawn):
    name = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(drawn)
    found = [
        tuple(float(box.get(key)) for key in ("x", "y", "width", "height"))
        for box in root.iter(f"{name}rect")
    ]
    text = [t.text for t in root.iter(f"{name}text")]
    return found, text, float(root.get("width")), float(root.get("height"))


@pytest.mark.parametrize("expand", [False, True])
def test_boxes_lie_beside_each_other(tmp_path, expand):
    a = fastnn.Input((3,))
    model = fastnn.Model(a, two_of_two()([a, layers.Dense(4)(a)]))
    drawn = plot_model(model, tmp_path / "m.svg", show_shapes=True, expand_nested=expand)
    assert (tmp_path / "m.svg").read_text() == drawn == drawn._repr_svg_()
    found, text, width, height = boxes(drawn)
    assert len(found) == (10 if expand else 3)
    for n, (x, y, w, h) in enumerate(found):
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        for left, top, across, down in found[:n]:
            assert x + w <= left or left + across <= x or y + h <= top or top + down <= y
    assert "(None, 3)" in text
    assert drawn.count("<path") == (10 if expand else 3)


def test_what_is_written_in_boxes(tmp_path):
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2, name="<first>")])
    model.trainable = False
    shown = {"show_layer_names": True, "show_dtype": True, "show_trainable": True}
    drawn = fastnn.utils.plot_model(model, None, **shown)
    text = boxes(drawn)[1]
    assert text[-3:] == ["<first> (Dense)", "float32", "not trainable"]
    with pytest.warns(UserWarning, match=r"it draws SVG, and writes .*m\.svg"):
        plot_model(model, tmp_path / "m.png")
    assert (tmp_path / "m.svg").exists()
    with pytest.raises(ValueError, match="nothing is known of what its layers are called on"):
        plot_model(Scaled())
