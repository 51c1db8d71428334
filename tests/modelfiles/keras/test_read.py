"""Reading imports and runs nothing of what it reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
import tintype.modelfiles.keras.read as read
early = {"h5py", "onnx"} & set(sys.modules)
from tintype.modelfiles.description import ReadOptions
from tintype.types import Format
read.describe_keras(Path(sys.argv[1]), format=Format.KERAS_HDF5, options=ReadOptions())
heavy = {"tensorflow", "keras", "tf_keras", "onnx", "openvino", "pickle"} & set(sys.modules)
print(sorted(early), sorted(heavy - {"pickle"}))
"""


def test_no_framework_is_imported(keras2, save, tmp_path: Path) -> None:
    """After a model was read neither Keras nor TensorFlow is in memory; h5py only then."""
    layers = keras2.layers
    model = keras2.Sequential([keras2.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
    path = save(model, tmp_path / "model.h5")

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False
    )

    assert ("[] []\n", "") == (done.stdout, done.stderr)
