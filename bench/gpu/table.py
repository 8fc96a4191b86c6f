"""What a run has found: a line each."""


class Table:
    """Lines, printed at once, and all together in the end."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self.wrong = 0

    def add(
        self,
        what: str,
        found: object,
        note: str = "",
        is_wrong: bool = False,
        is_missed: bool = False,
    ) -> None:
        """A line: `is_wrong` if a result is, `is_missed` if a time is not what is to be reached."""
        self.wrong += is_wrong
        verdict = "WRONG" if is_wrong else "missed" if is_missed else ""
        self.rows.append({"what": what, "found": str(found), "verdict": verdict, "note": note})
        print(_line(self.rows[-1]), flush=True)

    def text(self) -> str:
        return "\n".join([_line(row) for row in self.rows])


def _line(row):
    return "{what:66} {found:>10} {verdict:7}{note}".format(**row).rstrip()
