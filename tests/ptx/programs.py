"""Short PTX programs for the tests."""

import numpy as np

from .kernel import Kernel
from .memory import Device

HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"
REGISTERS = {"pred": "%p", "b16": "%h", "b32": "%r", "b64": "%d", "f32": "%f", "f64": "%g"}
KINDS = {"f4": "f32", "f8": "f64", "u4": "b32", "i4": "b32", "u8": "b64", "i8": "b64", "u2": "b16"}


def kernel(body, parameters="x y", shared="", directives=""):
    """A kernel whose parameters are addresses, in %x, %y; %t is the thread's index in its block, %b
    the block's, %i that of the thread in the grid, %t4 and %i4 those times 4, as long words."""
    names = parameters.split()
    registers = "".join(f".reg .{kind} {name}<30>; " for kind, name in REGISTERS.items())
    loads = "".join(f".reg .b64 %{p}; ld.param.b64 %{p}, [{p}]; " for p in names)
    return Kernel(
        f"""{HEADER}
        {shared}
        .visible .entry tested({", ".join(f".param .u64 {p}" for p in names)}) {directives} {{
            {registers}
            {loads}
            .reg .b32 %t, %b, %n, %i;
            .reg .b64 %t4, %i4;
            mov.u32 %t, %tid.x;
            mov.u32 %b, %ctaid.x;
            mov.u32 %n, %ntid.x;
            mad.lo.u32 %i, %b, %n, %t;
            mul.wide.u32 %t4, %t, 4;
            mul.wide.u32 %i4, %i, 4;
            {body}
            ret;
        }}"""
    )


def run(made, grid=1, block=32, arrays=(), **options):
    """Launch it on arrays of float32 or the like; returns what they hold afterwards, and what was
    counted. An array of None is memory never written."""
    device = Device(1 << 20)
    given = [device.empty(1024) if a is None else device.to_device(a) for a in arrays]
    stats = made.launch(grid, block, given, device, **options)
    return [array.to_host() for array in given], stats


def computed(text, *inputs, result):
    """%y after an instruction, for each element of the inputs %a, %b, %c."""
    inputs = [np.asarray(x) for x in inputs]
    n = inputs[0].size
    registers, loads = [], []
    for name, dtype in zip("abc", [x.dtype.str[1:] for x in inputs], strict=False):
        registers.append(f".reg .{KINDS[dtype]} %{name};")
        loads.append(
            f"mul.wide.u32 %d0, %t, {dtype[-1]}; add.s64 %d0, %{name}p, %d0; "
            f"ld.global.b{8 * int(dtype[-1])} %{name}, [%d0];"
        )
    size = int(result[-1])
    names = [f"{name}p" for name in "abc"[: len(inputs)]]
    body = f"""
        .reg .{KINDS[result]} %y;
        {" ".join(registers)}
        {" ".join(loads)}
        {text};
        mul.wide.u32 %d0, %t, {size};
        add.s64 %d0, %out, %d0;
        st.global.b{8 * size} [%d0], %y;
    """
    made = kernel(body, " ".join([*names, "out"]))
    device = Device(1 << 20)
    out = device.empty(n, result)
    made.launch(1, n, [*[device.to_device(x) for x in inputs], out], device)
    return out.to_host()
