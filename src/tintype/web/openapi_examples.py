"""Examples for the API's documents. The tests send the curl lines and compare the shapes."""

from __future__ import annotations

from typing import Any, Final

PREDICT_CURL: Final = [
    {"title": "A picture as the body", "command": "curl --data-binary @cat.jpg {base}/api/predict"},
    {"title": "A form", "command": "curl -F image=@cat.jpg -F top=3 {base}/api/predict"},
    {
        "title": "JSON",
        "command": 'printf \'{{"image": "%s", "top": 3}}\' "$(base64 < cat.jpg | tr -d \'\\n\')" | '
        "curl -H 'Content-Type: application/json' --data-binary @- {base}/api/predict",
    },
    {
        "title": "At a point, one model",
        "command": "curl --data-binary @cat.jpg '{base}/api/predict?model=colours&x=120&y=80'",
    },
    {
        "title": "With what the model saw",
        "command": "curl --data-binary @cat.jpg '{base}/api/predict?explain=input'",
    },
]

BATCH_CURL: Final = [
    {
        "title": "A form with several pictures",
        "command": "curl -F image=@cat.jpg -F image=@dog.jpg {base}/api/predict/batch",
    },
]

EXAMPLE_ID: Final = "5b0c4a0f5c0e4d0c9d5d3f0f0d7c6a11"

FEEDBACK_CURL: Final = [
    {
        "title": "It was right",
        "command": "curl -X PUT --data '{{\"correct\": true}}' {base}/api/predictions/ID/feedback",
    },
    {
        "title": "The right label, of one of several models",
        "command": 'curl -X PUT --data \'{{"label": "cat", "model": "pets"}}\' '
        "{base}/api/predictions/ID/feedback",
    },
    {
        "title": "What a person picked from the list that was answered",
        "command": 'curl -X PUT --data \'{{"picked": "cat"}}\' {base}/api/predictions/ID/feedback',
    },
]

_IMAGE: Final = {
    "width": 640,
    "height": 480,
    "format": "jpeg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "orientation": 1,
    "warnings": [],
}
_RESULT: Final = {
    "model": "pets",
    "version": "1",
    "task": "classify",
    "point": None,
    "labels": [
        {"index": 1, "label": "dog", "score": 0.98},
        {"index": 0, "label": "cat", "score": 0.02},
    ],
    "boxes": None,
    "error": None,
    "fallback": False,
    "seconds": 0.003,
}

PREDICTION_EXAMPLE: Final[dict[str, Any]] = {
    "id": EXAMPLE_ID,
    "image": _IMAGE,
    "results": [_RESULT],
    "seconds": {
        "decode": 0.001,
        "prepare": 0.0004,
        "queue": 0.0001,
        "run": 0.0023,
        "total": 0.0041,
    },
}

_JUDGED: Final = {"kind": "label", "correct": False, "right_label": "cat", "rank": 2}

RECORDED_EXAMPLE: Final[dict[str, Any]] = {
    "id": EXAMPLE_ID,
    "at": "2026-03-14T09:26:53.589Z",
    "image": {
        "width": 640,
        "height": 480,
        "format": "jpeg",
        "sha256": _IMAGE["sha256"],
        "orientation": 1,
        "bytes": 49811,
        "kept": False,
    },
    "results": [
        {key: value for key, value in _RESULT.items() if key != "fallback"}
        | {
            "model_sha256": "f7d5b4e1c2a3968778695a4b3c2d1e0ff7d5b4e1c2a3968778695a4b3c2d1e0f",
            "feedback": _JUDGED,
            "canary": {
                "version": "2",
                "labels": [{"index": 0, "label": "cat", "score": 0.61}],
                "boxes": None,
            },
        }
    ],
    "seconds": PREDICTION_EXAMPLE["seconds"],
}

FEEDBACK_EXAMPLE: Final[dict[str, Any]] = {
    "id": EXAMPLE_ID,
    "model": "pets",
    "version": "1",
    "point": None,
    "feedback": _JUDGED,
}

PROBLEM_EXAMPLE: Final[dict[str, Any]] = {
    "type": "/problems/body-too-large",
    "title": "Body too large",
    "status": 413,
    "detail": "the body has 31457280 bytes; the limit is 26214400 bytes (25 MiB)",
    "hint": "send a smaller picture, or raise uploads.max_body_bytes",
    "limit": 26214400,
    "actual": 31457280,
    "instance": "urn:request:0c9d5d3f0f0d7c6a115b0c4a0f5c0e4d",
}

BATCH_EXAMPLE: Final = [
    PREDICTION_EXAMPLE,
    {
        "error": {
            "type": "/problems/image-truncated",
            "title": "Picture truncated",
            "status": 422,
            "detail": "the file ends before the picture does",
            "index": 1,
        }
    },
]

READY_EXAMPLE: Final = {"status": "ready", "models": {"pets": "ready"}}

MODEL_EXAMPLE: Final[dict[str, Any]] = {
    "name": "pets",
    "version": "1",
    "title": "Cats and dogs",
    "description": "Tells cats from dogs.",
    "task": "classify",
    "file": "keras_model.h5",
    "format": "keras-hdf5",
    "writer": "Keras 2.4.0",
    "engine": "openvino",
    "engine_reason": "the default",
    "device": "cpu",
    "precision": "f32",
    "health": "ready",
    "input": {
        "name": "sequential_1_input",
        "shape": [None, 224, 224, 3],
        "dtype": "float32",
        "layout": "NHWC",
        "height": 224,
        "width": 224,
        "channels": 3,
        "batch": None,
    },
    "recipe": {"preset": "teachable-machine"},
    "recipe_is_guess": False,
    "recipe_reasons": ["a Teachable Machine export"],
    "recipe_override": "--recipe teachable-machine",
    "view": {},
    "labels": ["cat", "dog"],
    "labels_source": "labels.txt",
    "activation": "softmax",
    "activation_reason": "the last layer is a softmax",
    "top": 5,
    "threshold": None,
    "warnings": [],
    "parameters": 538608,
    "versions": [],
    "refused": "",
    "deadline_seconds": None,
    "fallback": [],
    "first_class": 0,
}

_SHARE: Final = {"value": 0.9, "low": 0.5958, "high": 0.9821, "right": 9, "judged": 10}

ACCURACY_CURL: Final = [
    {"title": "Of everything", "command": "curl {base}/api/accuracy"},
    {
        "title": "Of one version, since a day",
        "command": "curl '{base}/api/accuracy?model=pets&version=1&since=2026-11-01'",
    },
]

ACCURACY_EXAMPLE: Final[dict[str, Any]] = {
    "model": "pets",
    "version": "1",
    "label": None,
    "since": "2026-11-01T00:00:00Z",
    "report": {
        "accuracy": _SHARE,
        "top": [{"n": 1, "share": _SHARE}],
        "balanced_accuracy": 0.9,
        "macro_f1": 0.899,
        "classes": [{"label": "dog", "recall": _SHARE, "precision": _SHARE, "f1": 0.9}],
        "confusion": [{"right": "dog", "answered": "dog", "count": 9}],
        "calibration": {
            "error": 0.05,
            "bias": 0.05,
            "bins": [{"low": 0.9, "high": 1.0, "judged": 10, "mean_score": 0.95, "accuracy": 0.9}],
        },
        "versions": [{"model": "pets", "version": "1", "share": _SHARE}],
        "weeks": [{"week": "2026-11-02", "share": _SHARE}],
    },
}
