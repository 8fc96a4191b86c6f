"""What it costs to know whether a tape is still good, and what else than attributes it depends
on."""

import copy
import gc
import os
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, optimizers
from fastnn.watch import READERS, Watch, Watched
from tests.tape.test_stale import ROWS, TARGETS, Scale, Weighted, compiled, reader

# ---- other models


def recorded_step(model):
    optimizer, loss = optimizers.Adam(), losses.MeanSquaredError()
    optimizer.build(model.trainable_variables)

    @fastnn.record
    def step(x, y):
        value = loss(y, model(x, training=True))
        value.backward()
        optimizer.step()
        return value

    return step


def test_a_hundred_other_models_cost_no_recording_and_leave_nothing(recordings):
    model = compiled(fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)]))
    step = recorded_step(model)

    def use():
        del recordings[:]
        step(ROWS, TARGETS)
        model.predict(ROWS)
        model.fit(ROWS, TARGETS, verbose=0)
        return list(recordings)

    def live(number):
        other = fastnn.Sequential(
            [layers.Dense(4), layers.BatchNormalization(), layers.Dense(2)], name=f"other {number}"
        )
        compiled(other)
        for _ in range(3):
            other.trainable = False
            other.trainable = True
        other.build_for((None, 3))
        other.layers[0].activation = fastnn.activations.get("relu")
        other.add(layers.Dense(1, name="last"))
        other.pop()
        clone = copy.deepcopy(other)
        clone.trainable = False
        clone.predict(ROWS[:1])
        copy.deepcopy(model).predict(ROWS[:1])
        fastnn.set_threads(fastnn.get_threads())
        return weakref.ref(other), weakref.ref(other.layers[0]), weakref.ref(other.weights[0])

    use()
    other = compiled(fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)]))
    gone = []
    for number in range(20):
        gone += live(number)
        assert not use()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(100):
        gone += live(number)
        other.trainable = not other.trainable
        assert not use()
    gone = [reference for reference in gone if reference() is not None]
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert not [reference for reference in gone if reference() is not None]
    assert grown < 100_000


def test_tapes_of_one_model_go_with_it():
    kept = layers.Dense(2)
    kept(ROWS)
    gc.freeze()  # what others left is not looked through fifty times
    try:
        for _ in range(50):
            model = fastnn.Sequential([fastnn.Input((3,)), kept])
            model.predict(ROWS)
            gone = weakref.ref(model)
            del model
            gc.collect()
            assert gone() is None
    finally:
        gc.unfreeze()
    assert len(vars(kept)[READERS].found) < 3


def test_a_copy_of_an_object_is_read_by_no_tape():
    loss = Weighted()
    fastnn.record(lambda y, p: loss(y, p))(TARGETS, TARGETS)
    assert vars(loss)[READERS].found
    assert not vars(copy.deepcopy(loss))[READERS].found
    other = copy.copy(loss)
    other.factor = 2.0
    assert loss.factor == 1.0


# ---- what else counts


def test_names_of_a_recorded_function_may_come_to_mean_other_objects(recordings):
    scope = {"fastnn": fastnn, "model": Scale(1.0)}
    exec(
        "def by_global(x): return model(x)\ndef within(x): return [f(x) for f in (lambda x: "
        "model(x),)]",
        scope,
    )
    model = Scale(1.0)

    def by_closure(x):
        return model(x)

    functions = [fastnn.record(f) for f in (scope["by_global"], scope["within"], by_closure)]
    for value in (1.0, 2.0):
        model = scope["model"] = Scale(value)
        for function in functions:
            (result,) = result if isinstance(result := function(ROWS), list) else [result]
            np.testing.assert_array_equal(result.numpy(), ROWS * np.float32(value))
    assert len(recordings) == 6


def test_settings_of_the_process_count(recordings):
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)])
    double = fastnn.record(lambda x: x + x)
    fastnn.set_threads(2)
    model.predict(ROWS)
    assert double([1.0]).dtype == np.float32
    del recordings[:]
    fastnn.set_threads(1)
    model.predict(ROWS)
    assert len(recordings) == 1
    fastnn.set_threads(2)
    model.predict(ROWS)
    assert len(recordings) == 1
    fastnn.config.set_floatx("float64")
    assert double([1.0]).dtype == np.float64


def test_run_eagerly_may_be_assigned():
    calls = []
    model = reader(lambda m: calls.append(0) or 1.0)
    for eager, expected in ((False, 2), (False, 0), (True, 1), (True, 1), (False, 0)):
        model.run_eagerly = eager
        del calls[:]
        model.predict(ROWS)
        assert len(calls) == expected


def test_a_change_by_another_thread_while_a_step_is_recorded_is_seen():
    def read(model):
        value = model.scale
        if changes:
            thread = threading.Thread(target=setattr, args=(model, "scale", changes.pop()))
            thread.start()
            thread.join()
        return value

    for changes in ([], [2.0], [3.0]):
        model = reader(read)
        changes, pending = [], changes
        model.predict(ROWS[:2])
        changes += pending
        model.predict(ROWS)
        np.testing.assert_array_equal(model.predict(ROWS), model(ROWS).numpy())


def test_reads_are_noted_while_a_step_is_recorded_and_no_longer():
    assert "__getattribute__" not in vars(Watched)
    model = reader(lambda m: seen.append("__getattribute__" in vars(Watched)) or 1.0)
    seen = []
    model(ROWS)
    model.predict(ROWS)
    assert seen[0] is False
    assert all(seen[1:])
    failing = fastnn.record(lambda x: model(x).numpy())
    with pytest.raises(fastnn.errors.RecordingError):
        failing(ROWS)
    assert "__getattribute__" not in vars(Watched)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_forked_while_another_thread_records_notes_nothing():
    recording, done = threading.Event(), threading.Event()

    def record():
        with Watch():
            recording.set()
            done.wait()

    thread = threading.Thread(target=record)
    thread.start()
    recording.wait()
    child = os.fork()
    if child == 0:
        model = reader(lambda m: m.scale)
        is_right = "__getattribute__" not in vars(Watched) and not vars(model).get(READERS)
        model.predict(ROWS)
        model.scale = 2.0
        is_right &= bool(
            (model.predict(ROWS) == model(ROWS).numpy()).all()
        ) and "__getattribute__" not in vars(Watched)
        os._exit(0 if is_right else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert "__getattribute__" not in vars(Watched)
