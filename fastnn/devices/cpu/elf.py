"""Object code for x86-64 loaded without LLVM, whose import takes longer than a small fit does.

Source: System V Application Binary Interface, AMD64 supplement, section 4.4.
"""

import ctypes
import mmap
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fastnn.compile.object_file import sections, symbols

X86_64 = 62  # `e_machine`
RELOCATIONS = 4  # `sh_type`
WRITABLE, IN_MEMORY = 1, 2  # `sh_flags`
UNWINDING = ".eh_frame"  # of no use to code that raises nothing
# What a relocation writes: its layout, and whether it is relative to the place written;
# R_X86_64_64, R_X86_64_PC32 and R_X86_64_PLT32.
FORMS = {1: ("<Q", False), 2: ("<i", True), 4: ("<i", True)}
JUMP = b"\xff\x25" + bytes(4)  # to the address that follows
JUMP_BYTES = 16
PAGE = mmap.PAGESIZE


def load(code: bytes, name: str, elsewhere: Mapping[str, int]) -> int | None:
    """The address of the function `name`, once the object's code is in memory; None where the
    object is not one that can be loaded here, which LLVM then has to do. elsewhere: addresses of
    what it wants. It is never unloaded: when the interpreter ends other threads may be in it
    still."""
    parts = sections(code)
    if not _is_loadable(code, parts):
        return None
    names = symbols(parts)
    places, size = _layout(parts)
    jumps = {
        symbol.name: size + JUMP_BYTES * n
        for n, symbol in enumerate(s for s in names[1:] if s.section == 0)
    }
    size = _rounded_up(size + JUMP_BYTES * len(jumps), PAGE)
    base, memory = _mapped(size), bytearray(size)
    for n, place in places.items():
        memory[place : place + len(parts[n].data)] = parts[n].data
    for wanted, place in jumps.items():  # calls reach 2 GB and the C library may lie further away
        memory[place : place + JUMP_BYTES] = JUMP + struct.pack("<Qxx", elsewhere[wanted])
    for section, offset, form, number, addend in _relocations(parts):
        if section in places:
            layout, is_distance = FORMS[form]
            symbol, place = names[number], places[section] + offset
            target = (
                places[symbol.section] + symbol.offset if symbol.section else jumps[symbol.name]
            ) + addend
            value = target - place if is_distance else base + target
            struct.pack_into(layout, memory, place, value)
    ctypes.memmove(base, bytes(memory), size)
    if _library().mprotect(base, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(
            ctypes.get_errno(),
            "this system lets no process run code that it made: fastnn needs that, as Numba does",
        )
    return next(base + places[s.section] + s.offset for s in names[1:] if s.name == name)


@cache
def _library():
    """The C library."""
    library = ctypes.CDLL(None, use_errno=True)
    address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    library.mmap.restype, library.mmap.argtypes = (
        address,
        [address, size, number, number, number, ctypes.c_long],
    )
    library.mprotect.argtypes = [address, size, number]
    return library


def _mapped(size):
    """The address of fresh memory, of whole pages."""
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    address = _library().mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, kind, -1, 0)
    if address == ctypes.c_void_p(-1).value:
        raise MemoryError(f"no memory for {size} bytes of compiled code")
    return address


def _is_loadable(code, parts):
    """Whether it is for x86-64 and asks for nothing but what `load` does."""
    (machine,) = struct.unpack_from("<H", code, 0x12)
    return (
        machine == X86_64
        and hasattr(mmap, "MAP_ANONYMOUS")
        and not any(part.flags & WRITABLE for part in parts if _is_in_memory(part))
        and all(
            form in FORMS
            for section, _, form, _, _ in _relocations(parts)
            if _is_in_memory(parts[section])
        )
    )


def _is_in_memory(part):
    return part.flags & IN_MEMORY and part.name != UNWINDING


def _layout(parts):
    """Where each section lies that is to be in memory, by its number, and how many bytes they take.
    Data and code share no cache line."""
    places, size = {}, 0
    for n, part in enumerate(parts):
        if _is_in_memory(part):
            alignment = max(part.alignment, 64)
            places[n] = _rounded_up(size, alignment)
            size = places[n] + part.size
    return places, _rounded_up(size, JUMP_BYTES)


def _rounded_up(size, multiple):
    return (size + multiple - 1) // multiple * multiple


def _relocations(parts: Any) -> Iterator[tuple[int, int, int, int, int]]:
    """(section, offset in it, form, number of a symbol, addend) of each."""
    for part in parts:
        if part.kind == RELOCATIONS:
            for offset, form, number, addend in struct.iter_unpack("<QIIq", part.data):
                yield part.target, offset, form, number, addend
