"""A model drawn: boxes for its layers and ops, lines for what they are called on, as SVG."""

from html import escape
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from fastnn import tree
from fastnn.errors import warn
from fastnn.layers import Layer

CHARACTER, LINE, MARGIN, GAP, RANK_GAP = 7.3, 17, 10, 24, 36  # pixels
STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1a1a2e}.name{font-weight:600}"
    "rect{fill:#f4f6fb;stroke:#5b6b8c;rx:5}.op{fill:#fff;stroke-dasharray:4 3}"
    ".input{fill:#e8f4ea}.frozen{fill:#ececec}path{fill:none;stroke:#5b6b8c}"
)


class Drawing(str):
    """The text of an SVG, which notebooks show as a picture."""

    def _repr_svg_(self):
        return str(self)


class Box:
    """A layer or an op: what is written in it, and where it stands."""

    def __init__(self, lines: list[str], kind: str, parents: list["Box"]):
        self.lines, self.kind, self.parents = lines, kind, parents
        self.rank: int = 1 + max([p.rank for p in parents], default=-1)
        self.width = 2 * MARGIN + CHARACTER * max(map(len, lines))
        self.height = MARGIN + LINE * len(lines)
        self.x, self.y = 0.0, 0.0  # of its middle, and its upper edge


def plot_model(
    model: Any,
    to_file: Any = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> Drawing:
    """Draw a functional or Sequential model to a file, an SVG, without another program; returned it
    is what notebooks show. Arguments and defaults are Keras's, but for the file and those of
    graphviz.

    show_shapes, show_dtype: of each result. show_layer_names: beside the types. expand_nested:
    whether the layers of models within are drawn. show_trainable: whether a layer that does not
    learn says so.

    >>> import fastnn, tempfile
    >>> x = fastnn.Input((3,))
    >>> model = fastnn.Model(x, fastnn.layers.Dense(2)(x))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = fastnn.utils.plot_model(model, f"{folder}/m.svg", show_shapes=True)
    >>> drawn.count("<rect")
    2
    """
    said = Said(show_shapes, show_dtype, show_layer_names, show_trainable)
    boxes = _boxes_of(model, said, expand_nested)
    if not boxes:
        raise ValueError(
            f"plot_model: {model.name!r} is a subclass, or has no layers yet, so that nothing is "
            "known of what its layers are called on"
        )
    drawn = Drawing(_drawn(boxes))
    if to_file is not None:
        path = Path(to_file)
        if path.suffix.lower() != ".svg":
            warn(f"plot_model: it draws SVG, and writes {path.with_suffix('.svg')}")
            path = path.with_suffix(".svg")
        path.write_text(drawn, encoding="utf-8")
    return drawn


class Said(NamedTuple):
    """What is written in boxes besides the types."""

    shapes: bool
    dtypes: bool
    names: bool
    trainable: bool


def _boxes_of(model, said, expand):
    boxes: list[Box] = []
    graph = model._symbolic_graph()
    if graph is not None:
        specs = [graph.specs[n] for n in range(len(graph.input_layers))]
        for layer, spec in zip(graph.input_layers, specs, strict=True):
            boxes.append(Box(_lines(layer, [spec], said), "input", []))
        _add(graph, list(boxes), boxes, said, expand)
    return boxes


def _add(graph, given, boxes, said, expand):
    """Boxes for the calls of a graph; given: those of its inputs. Those of its outputs."""
    from .model import Model

    made: dict[int, Box] = dict(enumerate(given))
    for step in graph.steps:
        operation, slots = step.operation, tree.flatten(step.results)
        parents = [made[n] for n in step.reads]
        inner = operation._symbolic_graph() if expand and isinstance(operation, Model) else None
        if inner is not None and len(parents) == len(inner.input_layers):
            found = _add(inner, parents, boxes, said, expand)
        else:
            lines = _lines(operation, [graph.spec_of(slot) for slot in slots], said)
            boxes.append(Box(lines, _kind(operation), list(dict.fromkeys(parents))))
            found = [boxes[-1]] * len(slots)
        for slot, box in zip(slots, found, strict=True):
            made[slot.number] = box
    return [made[slot.number] for slot in tree.flatten(graph.outputs)]


def _kind(operation):
    if not isinstance(operation, Layer):
        return "op"
    return "frozen" if operation.weights and not operation.trainable else "layer"


def _lines(operation, specs, said):
    """What is written in a box; the first line is its name."""
    is_layer = isinstance(operation, Layer)
    kind = type(operation).__name__ if is_layer else operation.name
    lines = [f"{operation.name} ({kind})" if said.names and is_layer else kind]
    for spec in specs if said.shapes or said.dtypes else ():
        shape = "(" + ", ".join(map(str, spec.shape)) + ")" if said.shapes else ""
        lines.append(f"{shape} {spec.dtype if said.dtypes else ''}".strip())
    if said.trainable and is_layer and operation.weights:
        lines.append("trainable" if operation.trainable else "not trainable")
    return lines


def _placed(boxes):
    """Put boxes of a rank beside each other, below what they are called on; (width, height)."""
    ranks: dict[int, list[Box]] = {}
    for box in boxes:
        ranks.setdefault(box.rank, []).append(box)
    y = float(GAP)
    for rank in sorted(ranks):
        row = ranks[rank]
        for n, box in enumerate(row):
            above = [p.x for p in box.parents]
            box.x = sum(above) / len(above) if above else n * (box.width + GAP)
        row.sort(key=lambda box: box.x)
        wanted, edge = [box.x for box in row], -inf
        for box in row:  # where it wants to be, or as far to the right as those before push it
            box.x, box.y = max(box.x, edge + box.width / 2), y
            edge = box.x + box.width / 2 + GAP
        shift = (sum(wanted) - sum(box.x for box in row)) / len(row)
        for box in row:
            box.x += shift
        y += max(box.height for box in row) + RANK_GAP
    left = min(box.x - box.width / 2 for box in boxes) - GAP
    for box in boxes:
        box.x -= left
    return max(box.x + box.width / 2 for box in boxes) + GAP, y - RANK_GAP + GAP


def _drawn(boxes):
    width, height = _placed(boxes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}"><style>{STYLE}</style>'
    ]
    for box in boxes:
        for parent in box.parents:
            x, y, end, stop = parent.x, parent.y + parent.height, box.x, box.y
            bend = (y + stop) / 2
            parts.append(
                f'<path d="M{x:.1f} {y:.1f}C{x:.1f} {bend:.1f} {end:.1f} {bend:.1f} '
                f'{end:.1f} {stop:.1f}"/>'
            )
    for box in boxes:
        parts.append(
            f'<rect class="{box.kind}" x="{box.x - box.width / 2:.1f}" y="{box.y:.1f}" '
            f'width="{box.width:.1f}" height="{box.height}"/>'
        )
        for number, line in enumerate(box.lines):
            kind = ' class="name"' if number == 0 else ""
            y = box.y + MARGIN / 2 + LINE * (number + 0.75)
            parts.append(
                f'<text{kind} x="{box.x:.1f}" y="{y:.1f}" text-anchor="middle">'
                f"{escape(line)}</text>"
            )
    return "\n".join([*parts, "</svg>\n"])
