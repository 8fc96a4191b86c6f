"""Arenas, in which variables lie side by side, on the CPU or on the GPU."""

import copy
from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

from fastnn.buffer import Buffer, whole_lines
from fastnn.devices.cpu import memory as cpu_memory
from fastnn.locks import Turn, Turns, combined
from fastnn.tape.record import context


def reserve_on(device: str, nbytes: int, huge_pages: bool = False) -> Buffer:
    """Zeroed memory of a device."""
    if device == "cpu":
        return cpu_memory.reserve(nbytes, huge_pages)
    from fastnn.devices.cuda import memory

    return memory.reserve(nbytes)


def allocate_on(device: str, nbytes: int) -> Buffer:
    """Fresh memory of a device, not cleared."""
    if device == "cpu":
        return cpu_memory.allocate(nbytes)
    from fastnn.devices.cuda import memory

    return memory.allocate(nbytes)


class Chunk:
    """A run of variables' memory, and zeroed memory of the same layout for what goes with each of
    them: gradients, moments. Variables that lie next to each other here do so there too, and are
    updated by one instruction."""

    def __init__(
        self, nbytes: int, huge_pages: bool, turn: Turn, used: int = 0, device: str = "cpu"
    ):
        self.memory, self.device = reserve_on(device, nbytes, huge_pages), device
        self.huge_pages, self.used = huge_pages, used
        self.mirrors: dict[object, Buffer] = {}
        self.moved_away = 0  # bytes of variables that lie elsewhere now
        # what optimizers keep of these variables, by id
        self.kept: WeakValueDictionary[int, Mirrors] = WeakValueDictionary()
        self.turn = _turns[id(self.memory.owner)] = turn  # of who works on these variables

    def __reduce__(self) -> tuple:
        """The layout alone: places bring their values along, so that a copied layer does not hold
        its model's weights."""
        return Chunk, (self.memory.nbytes, self.huge_pages, self.turn, self.used)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Chunk":
        turn = copy.deepcopy(self.turn, memo)
        return Chunk(self.memory.nbytes, self.huge_pages, turn, self.used, self.device)

    def mirror(self, key: object) -> Buffer:
        if key not in self.mirrors:
            self.mirrors[key] = reserve_on(self.device, self.memory.nbytes, self.huge_pages)
        return self.mirrors[key]


class Mirror(Buffer):
    """Zeroed memory of a chunk's layout, for what goes with its variables. Copies take along what
    the chunk uses of it."""

    __slots__ = ("chunk",)

    def __init__(self, chunk: Chunk, values: Any = ()):
        memory = reserve_on(chunk.device, chunk.memory.nbytes, chunk.huge_pages)
        super().__init__(memory.address, memory.nbytes, memory.owner, 0)
        self.chunk = chunk
        if len(values):
            self.part(0, len(values)).write(values)

    def __reduce__(self) -> tuple:
        return Mirror, (self.chunk, self.bytes()[: self.chunk.used])


class Mirrors(dict[tuple[Chunk, str], Mirror]):
    """Mirrors by chunk and name, which follow variables that move to other chunks."""

    def __setitem__(self, key: tuple[Chunk, str], mirror: Mirror) -> None:
        super().__setitem__(key, mirror)
        key[0].kept[id(self)] = self

    def of(self, chunk: Chunk, name: str) -> Mirror:
        """That of a chunk, zeroed when first asked for."""
        if (chunk, name) not in self:
            self[chunk, name] = Mirror(chunk)
        return self[chunk, name]

    def follow(self, before: Chunk, start: int, chunk: Chunk, offset: int, nbytes: int) -> None:
        """Carry over what is kept of a variable that lay in a chunk before, from `start` on."""
        for name in [name for held, name in self if held is before]:
            values = self[before, name].part(start, nbytes).bytes()
            self.of(chunk, name).part(offset, nbytes).write(values)
            if before.moved_away == before.used:
                del self[before, name]


class Place(Buffer):
    """Where a variable lies in a chunk, or, with a key, what goes with it in that mirror of the
    chunk."""

    __slots__ = ("chunk", "key")

    def __init__(self, chunk: Chunk, offset: int, nbytes: int, key: object = None):
        memory = chunk.memory if key is None else chunk.mirror(key)
        self.address, self.nbytes, self.owner, self.offset, self.maker = (
            memory.address + offset,
            nbytes,
            memory.owner,
            offset,
            None,
        )
        self.chunk, self.key = chunk, key

    def __reduce__(self) -> tuple:
        return _placed, (self.chunk, self.offset, self.bytes(), self.key)


def _placed(chunk, offset, values, key):
    place = Place(chunk, offset, values.nbytes, key)
    place.write(values)
    return place


_turns: WeakValueDictionary[int, Turn] = WeakValueDictionary()  # by the owner of a chunk's memory


def turn_of(buffers: Iterable[Buffer]) -> Turn | Turns:
    """That of the variables whose memory is among these."""
    found = [_turns.get(owner) for owner in {id(getattr(b, "owner", None)) for b in buffers}]
    return combined([turn for turn in found if turn is not None])


class Arena:
    """Places variables one after another. A chunk takes memory only as far as it is used, so it may
    be generous."""

    CHUNK_BYTES = 1 << 24
    # A variable this large, or a chunk that follows a full one, lies in huge pages: an update of 8
    # million parameters then takes 0.9 of the time, but a small model would take up pages of 2 MB
    # of which it needs little. NumPy has the same bound.
    HUGE_PAGES_MIN_BYTES = 1 << 22

    def __init__(self, device: str | None = None, chunk_bytes: int | None = None):
        self.device = device or context.device
        self.chunk_bytes = self.CHUNK_BYTES if chunk_bytes is None else chunk_bytes
        self.chunks: dict[object, Chunk] = {}
        self.turn = Turn(of_weights=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What was pickled on a GPU is read on the CPU: where it is read there may be none."""
        vars(self).update(state, device="cpu")

    def __deepcopy__(self, memo: dict[int, Any]) -> "Arena":
        made = memo[id(self)] = Arena.__new__(Arena)
        vars(made).update(copy.deepcopy(vars(self), memo))
        return made

    def place(self, nbytes: int, kind: object) -> tuple[Chunk, int]:
        """A chunk and an offset in it for a variable; variables of one kind (trainable or not) lie
        together."""
        size = whole_lines(nbytes)
        chunk = self.chunks.get(kind)
        if chunk is None or chunk.used + size > chunk.memory.nbytes:
            huge_pages = size >= self.HUGE_PAGES_MIN_BYTES or chunk is not None
            chunk = self.chunks[kind] = Chunk(
                max(size, self.chunk_bytes), huge_pages, self.turn, device=self.device
            )
        chunk.used += size
        return chunk, chunk.used - size


def own_copy(held: Any) -> Any:
    """`__copy__` of what holds memory: copy.copy copies that too. Two objects for one memory would
    be in each other's way: two variables would write their gradients over each other's."""
    return copy.deepcopy(held)
