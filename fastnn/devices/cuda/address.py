"""Addresses of a GPU's memory, which no kernel of the CPU must be given."""


class DeviceAddress:
    """An address on the GPU. It is no number: who packs it for the CPU is told so by Python."""

    __slots__ = ("value",)
    in_use = False  # whether there has been one

    def __init__(self, value: int):
        self.value = value
        DeviceAddress.in_use = True

    def __add__(self, nbytes: int) -> "DeviceAddress":
        return DeviceAddress(self.value + nbytes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceAddress) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"<cuda {self.value:#x}>"
