"""Numbers in words."""


def time_text(seconds: float, like: float | None = None) -> str:
    """Three digits with their unit, or, with `like`, two in the unit that suits that."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if (like or seconds) >= size or unit == "ns":
            break
    return f"{seconds / size:.2g}" if like else f"{seconds / size:.3g} {unit}"


def times_text(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def percent_text(fraction: float) -> str:
    return f"{100 * fraction:.0f} %" if fraction >= 0.01 else "< 1 %"
