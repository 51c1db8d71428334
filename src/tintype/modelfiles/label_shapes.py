"""The shapes of labels files. Pure: bytes in, labels out, label i for class i.

Sources of the shapes: Teachable Machine (``0 cat``), TF-Slim (``0:cat``), Caffe
(``n01440764 tench``), keras.applications (imagenet_class_index.json), Keras ``class_indices``
(name to number), the TF Object Detection API (StringIntLabelMap in text form), Ultralytics
(``names:`` in YAML, or a Python dict in ONNX metadata), Hugging Face (``id2label``).
"""

from __future__ import annotations

from tintype.errors import LabelsError
from tintype.modelfiles.label_notations import (
    LABEL_MAP_ITEM,
    YAML_HEAD,
    from_json,
    from_label_map,
    from_yaml,
    inline_list,
    parse_python_names,
)
from tintype.modelfiles.label_order import MAX_LABEL_LENGTH, MAX_LABELS
from tintype.modelfiles.label_texts import from_lines, from_table, in_one_line


def parse_labels(data: bytes) -> tuple[str, ...]:
    """Read labels from the bytes of a file. Raises LabelsError when no shape fits."""
    text = _decode(data)
    if not text.strip():
        raise LabelsError("the labels file is empty, expected a label a line")
    labels = _by_shape(text)
    if not labels:
        raise LabelsError("the labels file holds no label, expected a label a line")
    if len(labels) > MAX_LABELS:
        raise LabelsError(
            f"the labels file holds {len(labels):,} labels, expected at most {MAX_LABELS:,}"
        )
    for number, label in enumerate(labels):
        if len(label) > MAX_LABEL_LENGTH:
            raise LabelsError(
                f"label {number} has {len(label):,} characters, expected at most "
                f"{MAX_LABEL_LENGTH:,}: is this a labels file?"
            )
    return labels


def parse_property(text: str) -> tuple[str, ...] | None:
    """Read labels from a text property of a model file; None when it holds none.

    JSON, a Python dict or list, one label a line, or one line with commas between.
    """
    try:
        names = parse_python_names(text)
        if names is None and text.strip().startswith("["):
            names = inline_list(text.strip())
        if names is None and "\n" not in text.strip() and text.strip()[:1] not in ("{", "["):
            names = tuple(part.strip() for part in text.split(",") if part.strip())
        return names or parse_labels(text.encode("utf-8", "replace"))
    except LabelsError:
        return None


def _by_shape(text: str) -> tuple[str, ...]:
    start = text.lstrip()
    if start[0] in "[{":
        return from_json(text)
    if LABEL_MAP_ITEM.search(text):
        return from_label_map(text)
    head = YAML_HEAD.search(text)
    if head is not None:
        return from_yaml(text, head)
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return from_table(lines) or in_one_line(lines) or from_lines(lines)


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").lstrip("\ufeff")
    if b"\0" in data:
        raise LabelsError(
            "the labels file is not text, expected a label a line",
            hint="give the labels, not the model: --labels labels.txt",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
