"""The C function by which a kernel is called, in LLVM IR: `int64 name(block, thread, n_threads)`.

It reads address and extents of every array and every number from the argument block, whose fields
have 8 bytes, works out the thread's range as the kernel's `split` has it, calls the kernel and
returns its status.
"""

from typing import Any

from fastnn.kernels.declare import Kernel


def build(module: Any, name: str, kernel: Kernel, array: Any, call: Any) -> None:
    """Add it to an LLVM module. `array(builder, number, address, shape)` makes the kernel's array
    argument of that number, and `call(builder, values)` calls the kernel and returns the status."""
    from llvmlite import ir

    word = ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(word, [word] * 3), name)
    builder = ir.IRBuilder(function.append_basic_block())
    block_address, thread, n_threads = function.args
    block, places = builder.inttoptr(block_address, word.as_pointer()), iter(range(1 << 16))

    def next_field():
        return builder.load(builder.gep(block, [word(next(places))]))

    values, extents = [], {}  # extents: of each array, by the argument's number
    for number, p in enumerate(kernel.parameters):
        field = next_field()
        if p.letters is not None:
            extents[number] = [next_field() for _ in p.letters]
            field = array(builder, number, field, extents[number])
        elif p.dtype == "float":
            field = builder.bitcast(field, ir.DoubleType())
        values.append(field)
    if not kernel.range_names:  # thread 0 does it all
        with builder.if_then(builder.icmp_signed("!=", thread, word(0))):
            builder.ret(word(0))
    builder.ret(call(builder, [*values, *_range(builder, kernel, extents, thread, n_threads)]))


def _range(builder, kernel, extents, thread, n_threads):
    """What the kernel takes after its arguments: the range of one dimension; those of rows and
    columns, of which the rows are divided if there is more than one; or the thread's number."""
    if not kernel.split_axes:
        return [thread, n_threads][: len(kernel.range_names)]
    word = thread.type
    sizes = [extents[argument][axis] for _, _, argument, axis in kernel.split_axes]
    grains = [word(grain) for _, grain, *_ in kernel.split_axes]
    if len(sizes) == 1:
        start, stop = _thread_range(builder, sizes[0], grains[0], thread, n_threads)
        return [start, stop, thread][: len(kernel.range_names)]
    by_rows = builder.icmp_signed(">", sizes[0], word(1))
    size, grain = (builder.select(by_rows, *pair) for pair in (sizes, grains))
    start, stop = _thread_range(builder, size, grain, thread, n_threads)
    return [
        builder.select(by_rows, start, word(0)),
        builder.select(by_rows, stop, sizes[0]),
        builder.select(by_rows, word(0), start),
        builder.select(by_rows, sizes[1], stop),
    ]


def _thread_range(builder, size, grain, thread, n_threads):
    """`thread_range` of kernels/cpu/threads.py: start and stop of a thread's part of `size`
    elements. A single thread, which takes all, is spared the divisions."""
    word = size.type
    zero, one = word(0), word(1)
    is_alone = builder.icmp_signed("==", n_threads, one)
    before = builder.block
    with builder.if_then(builder.not_(is_alone)):
        grains = builder.sdiv(builder.add(size, builder.sub(grain, one)), grain)
        ends = []
        for number in (thread, builder.add(thread, one)):
            end = builder.mul(builder.sdiv(builder.mul(grains, number), n_threads), grain)
            ends.append(builder.select(builder.icmp_signed("<", end, size), end, size))
        divided = builder.block
    results = []
    for whole, part in ((zero, ends[0]), (size, ends[1])):
        result = builder.phi(word)
        result.add_incoming(whole, before)
        result.add_incoming(part, divided)
        results.append(result)
    return results
