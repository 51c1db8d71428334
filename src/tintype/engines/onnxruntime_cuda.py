"""ONNX Runtime on an NVIDIA GPU: its CUDA provider, or why it cannot be had. Never the processor.

Names of options and what they do: ONNX Runtime's documentation, "CUDA Execution Provider".
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Final, TypeAlias

from tintype.engines.engine import EngineOptions
from tintype.errors import SettingsError

Provider: TypeAlias = tuple[str, dict[str, str]]
"""The name of an execution provider, and its options."""

PROVIDER: Final = "CUDAExecutionProvider"
STREAMS: Final = 2
"""Batches in flight if not set: one is computed while the next is stacked and copied."""

_OR_ELSE: Final = 'or engine.device = "cpu" (in a card: device = "cpu")'


def cuda_provider(library: Any, options: EngineOptions) -> Provider:
    """The provider as ONNX Runtime takes it, with NVIDIA's libraries loaded.

    Sums are in float32; matrix units round factors to 10 bits only where ``tf32`` was asked for.
    Convolutions are chosen by a rule: every size of batch is a new shape, and timing all ways of
    doing it would keep its first pictures waiting. Raises SettingsError for a library without it.
    """
    known = library.get_available_providers()
    if PROVIDER not in known:
        raise SettingsError(
            "the device cuda was asked for (engine.device), and this ONNX Runtime has no "
            f"{PROVIDER}; it has {', '.join(known)}",
            hint="pip uninstall onnxruntime, then pip install 'tintype[cuda]' (onnxruntime-gpu), "
            + _OR_ELSE,
        )
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it cannot load
        library.preload_dlls()
    return PROVIDER, {
        "use_tf32": "1" if options.precision == "tf32" else "0",
        "cudnn_conv_algo_search": "HEURISTIC",
    }


def require_cuda(session: Any) -> None:
    """Refuse a session that ONNX Runtime quietly put on the processor. Raises SettingsError."""
    if PROVIDER not in session.get_providers():
        raise SettingsError(
            "the device cuda was asked for (engine.device), and ONNX Runtime cannot use a GPU "
            "here; its own words about it stand above",
            hint="nvidia-smi must show a GPU, and onnxruntime-gpu needs the CUDA and cuDNN it was "
            "built for: pip install 'onnxruntime-gpu[cuda,cudnn]' brings them, " + _OR_ELSE,
        )
    session.disable_fallback()
