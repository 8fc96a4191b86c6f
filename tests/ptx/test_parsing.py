"""PTX text, as LLVM writes it and by hand."""

import numpy as np
import pytest

from .dtypes import f4, f8
from .errors import OutOfBounds, PTXError, Unsupported
from .kernel import Kernel
from .parsing import literal, parse, split, vector
from .programs import HEADER, kernel, run

X, NOTHING = np.arange(256, dtype="f4"), np.full(64, -1, "i4")


def test_operands_and_literals():
    assert split("%r1, {%r2, %r3}, [%rd1+4]") == ["%r1", "{%r2, %r3}", "[%rd1+4]"]
    assert vector("{%r2, %r3}") == ["%r2", "%r3"]
    assert vector("%r1") == ["%r1"]
    assert literal("0f3F800000") == f4(1)
    assert literal("0d3FF0000000000000") == f8(1)
    assert type(literal("0f3F800000")) is f4
    assert (literal("-7"), literal("0x1F"), literal("5U")) == (-7, 31, 5)


def test_an_entry_point_as_llvm_writes_it():
    entry = parse(
        HEADER
        + """
	// .globl	one
.shared .align 16 .b8 tile[64][4];
.global .align 4 .b32 table[3] = {1, -1, 0f3F800000};
.visible .entry one(
	.param .u64 .ptr .global .align 1 one_param_0,
	.param .f64 one_param_1
)
.reqntid 64
{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<3>;
	ld.param.b64 	%rd1, [one_param_0]; /* a comment; with a semicolon */
	@!%p1 bra 	$L__BB0_2;
	.pragma "nounroll";
$L__BB0_2: ret;
}"""
    )
    assert (entry.name, entry.required_threads) == ("one", 64)
    assert entry.parameters == [("one_param_0", "u64"), ("one_param_1", "f64")]
    assert set(entry.registers) == {"%p0", "%p1", "%r0", "%r1", "%r2"}
    assert entry.variables["tile"].bytes == 256
    assert entry.variables["table"].initial.view("u4").tolist() == [1, 0xFFFFFFFF, 0x3F800000]
    load, branch, label, leave = entry.body
    assert (load.opcode, load.modifiers, load.type) == ("ld", ["param", "b64"], "b64")
    assert branch.predicate == ("%p1", True)
    assert branch.operands == [label] == ["$L__BB0_2"]
    assert leave.opcode == "ret"


def test_registers_of_a_scope():
    """As LLVM takes a long word apart."""
    made = kernel(
        """{ .reg .b32 part; mov.b64 {part, %r1}, %x; }
        { .reg .b64 part; mov.b64 part, %x; and.b64 part, part, 1023; cvt.u32.u64 %r2, part; }
        st.global.v2.b32 [%y], {%r1, %r2};"""
    )
    (_, y), _ = run(made, 1, 1, [X, NOTHING])
    assert y[:2].tolist() == [2, 0]


def test_one_of_several_entry_points():
    text = HEADER + "".join(f".entry {n}(.param .u64 x) {{ ret; }}\n" for n in ("one", "two"))
    assert Kernel(text, "two").name == "two"
    with pytest.raises(PTXError, match="one kernel named None"):
        Kernel(text)
    with pytest.raises(Unsupported, match="parameter"):
        Kernel(HEADER + ".entry one(.param .b8 x[16]) { ret; }")


def test_variables_of_a_module():
    made = kernel(
        "mov.b64 %d1, table; add.s64 %d2, %d1, %t4; ld.global.b32 %r1, [%d2];"
        "add.s64 %d3, %y, %t4; st.global.b32 [%d3], %r1;",
        shared=".global .align 4 .b32 table[4] = {5, 6, 7};",
    )
    (_, y), _ = run(made, 1, 4, [X, NOTHING])
    assert y[:4].tolist() == [5, 6, 7, 0]
    with pytest.raises(OutOfBounds):
        run(made, 1, 5, [X, NOTHING])
