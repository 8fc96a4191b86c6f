"""Object files (ELF, 64 bits) read: their sections and symbols.

Source: System V Application Binary Interface, chapter 4.
"""

import struct
from typing import NamedTuple

SYMBOLS, WITHOUT_DATA = 2, 8  # `sh_type`


class Section(NamedTuple):
    name: str
    kind: int
    flags: int
    size: int
    link: int  # of symbols: the section of their names
    target: int  # of relocations: the section they change
    alignment: int
    data: bytes


class Symbol(NamedTuple):
    name: str
    section: int  # 0: it is defined elsewhere
    offset: int  # within the section


def sections(code: bytes) -> list[Section]:
    """An object's sections, in its order."""
    start, size, count, of_names = struct.unpack_from("<Q10xHHH", code, 0x28)
    headers = [struct.unpack_from("<IIQQQQIIQQ", code, start + n * size) for n in range(count)]
    names = headers[of_names][4]

    def data(kind, offset, size):
        return b"" if kind == WITHOUT_DATA else code[offset : offset + size]

    return [
        Section(
            _text(code, names + name),
            kind,
            flags,
            size,
            link,
            target,
            alignment,
            data(kind, offset, size),
        )
        for name, kind, flags, _address, offset, size, link, target, alignment, _entry in headers
    ]


def symbols(parts: list[Section]) -> list[Symbol]:
    """The names that an object defines or wants, in its order: the first stands for none."""
    table = next(part for part in parts if part.kind == SYMBOLS)
    names = parts[table.link].data
    return [
        Symbol(_text(names, name), section, offset)
        for name, section, offset in struct.iter_unpack("<I2xHQ8x", table.data)
    ]


def undefined_symbols(code: bytes) -> set[str]:
    """Names that an object wants from elsewhere."""
    return {symbol.name for symbol in symbols(sections(code))[1:] if symbol.section == 0}


def _text(names, offset):
    return names[offset : names.index(b"\0", offset)].decode()
