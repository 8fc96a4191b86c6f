"""Every example runs to its end on the data that travels with it."""

import json
import math
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = [path.stem for path in sorted(FOLDER.glob("*.py")) if path.stem != "common"]
KEYS = ["family", "metric", "value", "bar", "seconds", "steps_per_second", "threads"]


def run(name, folder, *arguments):
    command = [sys.executable, "-W", "error", FOLDER / f"{name}.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_few_steps_end_with_a_line_that_programs_read(name, quick):
    line, folder = quick(name)
    assert list(line) == KEYS
    assert line["family"] == name
    assert math.isfinite(line["value"])
    assert (folder / f"{name}.fastnn").stat().st_size


# ---- what ends them early: one line says so, and nothing is written

HERE, PARTS = "{here}", ("x_train", "y_train", "x_test", "y_test")


def ended(name, folder, *arguments, **given):
    """(status, last line) of an example that ends with no traceback, and leaves nothing."""
    there = sorted(folder.iterdir())
    command = [sys.executable, FOLDER / f"{name}.py", "--quick", *arguments]
    done = subprocess.run(command, **{"cwd": folder} | given, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert sorted(folder.iterdir()) == there
    return done.returncode, (done.stderr or done.stdout).splitlines()[-1].replace(str(folder), HERE)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--data", "none"), "--data: expected a folder with input.txt; there is no folder none"),
        (("--data", FOLDER / "data" / "fashion_mnist"), "fashion_mnist has no input.txt"),
        (("--seed", "-1"), "--seed: expected a whole number from 0 on; got '-1'"),
        (("--seed", "one"), "--seed: expected a whole number from 0 on; got 'one'"),
        (("--device", "tpu"), "--device: invalid choice: 'tpu' (choose from 'cpu', 'cuda')"),
        (("--steps", "9"), "unrecognized arguments: --steps 9"),
    ],
)
def test_arguments_are_told(arguments, line, tmp_path):
    status, last = ended("gpt", tmp_path, *arguments)
    assert status == 2
    assert last.endswith(line)


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_is_told(name, tmp_path):
    assert ended(name, tmp_path, "--help")[0] == 0


def test_a_gpu_that_is_not_there_is_told(tmp_path):
    none = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    status, last = ended("gan", tmp_path, "--device", "cuda", env=none)
    assert status == 2
    assert "gan.py: error: --device: " in last


def test_a_folder_that_takes_no_file_is_told_before_anything_is_learned(tmp_path):
    status, last = ended("gan", tmp_path, cwd="/proc")
    assert status == 2
    assert "the model is written to this folder, but that cannot be: " in last


def test_a_folder_where_a_file_is_to_be_written_is_told(tmp_path):
    (tmp_path / "gan.fastnn").mkdir()
    status, last = ended("gan", tmp_path)
    assert status == 2
    assert last.endswith("gan.fastnn is to be written, but there is a folder of that name")


TEXT = f"--data: {HERE}/input.txt should hold text in UTF-8, at least 650 characters; "


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "it has 0"),
        (b"to be " * 100, "it has 600"),
        (
            b"\xff\xfe" * 999,
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
    ],
)
def test_text_that_is_none_is_told(content, line, tmp_path):
    (tmp_path / "input.txt").write_bytes(content)
    assert ended("gpt", tmp_path, "--data", tmp_path) == (1, TEXT + line)


def test_sentences_that_are_too_few_are_told(tmp_path):
    for name in ("positive.txt", "negative.txt"):
        (tmp_path / name).write_text("a film\n" * 3)
    told = f"{HERE}/positive.txt should hold at least 1000 sentences, one a line, "
    assert ended("bert", tmp_path, "--data", tmp_path) == (1, f"--data: {told}in UTF-8; it has 3")


def images(kind="u1", shape=(4, 28, 28), last=9):
    x, y = np.zeros(shape, kind), np.arange(last - 3, last + 1)
    return dict(zip(PARTS, (x, y, x, y), strict=True))


@pytest.mark.parametrize(
    ("content", "cut", "line"),
    [
        (images(), 0, "No data left in file"),
        (images(), 300, "File is not a zip file"),
        ({"audio": np.zeros(9)}, None, "'x_train is not a file in the archive'"),
        (images("f4"), None, "images are float32 (4, 28, 28)"),
        (images(shape=(4, 28, 28, 3)), None, "images are uint8 (4, 28, 28, 3)"),
        (images(shape=(5, 28, 28)), None, "kinds of 5 images are int64 (4,)"),
        (images(last=10), None, "kinds go from 7 to 10"),
    ],
)
def test_images_that_are_none_are_told(content, cut, line, tmp_path):
    path = tmp_path / "fashion_mnist_mine.npz"
    np.savez(path, **content)
    path.write_bytes(path.read_bytes()[:cut])
    status, last = ended("resnet", tmp_path, "--data", tmp_path)
    assert status == 1
    assert last.startswith(f"--data: {HERE}/{path.name} should hold x_train and x_test, bytes")
    assert last.endswith(f"from 0 to 9; {line}")


@pytest.mark.parametrize(
    ("name", "said"), [("gpt", "held out"), ("resnet", "epoch "), ("gan", "epoch ")]
)
def test_ctrl_c_is_told(name, said, tmp_path):
    command = [sys.executable, "-u", FOLDER / f"{name}.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert any(said in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode != 0
    assert errors.splitlines()[-1] == "interrupted: nothing is written"
    assert "Traceback" not in errors
    assert not os.listdir(tmp_path)
