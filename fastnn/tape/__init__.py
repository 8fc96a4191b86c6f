"""The tape: kernel calls written down once, planned, and replayed by a native loop.

`record` writes calls down, `plan` places their buffers and the barriers between threads, `run`
replays, `pace` chooses for how long and on how many of them, `report` tells.
"""
