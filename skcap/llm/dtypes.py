"""Which number type ``dtype="auto"`` means on this machine."""

from __future__ import annotations

import functools
import platform
import time
from pathlib import Path
from typing import Any

__all__ = ["resolve_dtype"]

_WORTHWHILE = 1.3  # times faster than float32, or bfloat16 is not worth its rounding


def resolve_dtype(dtype: str, device: str) -> str:
    """Name the number type that a `dtype` parameter means.

    Parameters
    ----------
    dtype : {"auto", "float32", "bfloat16", "float16"}
    device : str
        A torch device.

    Returns
    -------
    {"float32", "bfloat16", "float16", "half", "checkpoint"}
        What "auto" means on a GPU is "half" if it computes in bfloat16: the type that the weights
        were saved in if that has 16 bits, and else bfloat16. On other devices it is "checkpoint",
        the saved type, whatever it is. On a CPU, it is float32, but bfloat16 on a CPU with AMX if
        a small matrix product is then at least 1.3 times faster. (CPUs with AVX512-BF16 alone
        compute in bfloat16 up to 20 times *slower*.) It is measured once per process.

    Examples
    --------
    >>> from skcap.llm.dtypes import resolve_dtype
    >>> resolve_dtype("float32", "cpu"), resolve_dtype("auto", "mps")
    ('float32', 'checkpoint')
    """
    if dtype != "auto":
        return dtype
    kind = device.split(":")[0]
    if kind == "cpu":
        return _fastest_on_cpu()
    return "half" if kind == "cuda" and _gpu_has_bfloat16() else "checkpoint"


@functools.cache
def _gpu_has_bfloat16() -> bool:
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


@functools.cache
def _fastest_on_cpu() -> str:
    return "bfloat16" if _has_amx() and _bfloat16_speedup() >= _WORTHWHILE else "float32"


def _has_amx() -> bool:
    import torch

    if hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    if platform.system() != "Linux":
        return False
    return "amx_bf16" in Path("/proc/cpuinfo").read_text().split()


def _bfloat16_speedup() -> float:
    """Time a matrix product of the size of a small model's layer in both types."""
    import torch

    def seconds(operand: Any) -> float:
        start = time.perf_counter()
        operand @ operand
        return time.perf_counter() - start

    square = torch.ones(1024, 1024)
    half = square.to(torch.bfloat16)
    with torch.inference_mode():
        rounds = [(seconds(square), seconds(half)) for _ in range(6)]
    # The fastest of each type, since other processes only ever slow a product down.
    return min(full for full, _ in rounds) / min(half for _, half in rounds)
