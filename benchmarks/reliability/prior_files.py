"""Files of priors that are cut, changed, or made to mislead: the right prior, or a clear error."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.faults import Fault, Outcome, judge
from skcap import PrecomputedPrior, PriorMatrix

_TEXTS = ["play some jazz", "stop my alarm", "", "emoji 🎷 here"]
_SCORES = [[1.0, float("nan"), 2.0], [0.5, 0.0, -1.0], [], [3.0, 2.0, 1.0]]
PRIOR = PriorMatrix(_TEXTS, _SCORES, provenance={"source": "by hand"})
_MAX_BYTES = 10**6


def faults(short: bool) -> Iterator[Fault]:
    """Give the faults of this area."""
    for name, change in BYTES.items():
        for seed in range(3 if short else 40):
            yield Fault("prior files", name, seed, _fault(change))
    for name, edit in MEMBERS.items():
        for seed in range(1 if short else 2):
            yield Fault("prior files", f"edited: {name}", seed, _fault(_edited(edit)))


def _fault(change: Callable[[bytes, random.Random], bytes]) -> Callable[..., Outcome]:
    def inject(folder: Path, rng: random.Random) -> Outcome:
        path = folder / "prior.npz"
        PRIOR.save(path)
        path.write_bytes(change(path.read_bytes(), rng))
        outcome = judge(
            lambda: PriorMatrix.load(path, max_bytes=_MAX_BYTES), lambda m: m == PRIOR, "prior.npz"
        )
        if (folder / "pwned").exists():
            return Outcome("wrong", "code from a file was run")
        if outcome.outcome == "clear error" and rng.random() < 0.2:  # the other way to read one
            prior = PrecomputedPrior(path)
            return judge(
                lambda: prior.fit(_TEXTS, list("abab")), lambda _: False, "prior.npz|scores"
            )
        return outcome

    return inject


# -- changes of bytes -----------------------------------------------------------------------------


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 8])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwritten(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    noise = rng.randbytes(min(rng.randint(1, 200), len(content) - start))
    return content[:start] + noise + content[start + len(noise) :]


BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": lambda content, rng: content[: rng.randrange(len(content))],
    "bits flipped": _flipped,
    "bytes overwritten": _overwritten,
    "bytes lost at the start": lambda content, rng: content[rng.randrange(1, len(content)) :],
    "bytes added": lambda content, rng: content + rng.randbytes(rng.randint(1, 300)),
}


# -- changes of what is in it ---------------------------------------------------------------------

Members = dict[str, bytes]


def _edited(edit: Callable[[Members], Members]) -> Callable[[bytes, random.Random], bytes]:
    def change(content: bytes, rng: random.Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, member in edit(members).items():
                archive.writestr(name, member)
        return packed.getvalue()

    return change


def _npy(array: Any, **options: Any) -> bytes:
    packed = io.BytesIO()
    np.lib.format.write_array(packed, np.asarray(array), **options)
    return packed.getvalue()


def _set(**arrays: Any) -> Callable[[Members], Members]:
    return lambda members: {
        **members,
        **{f"{name}.npy": value if isinstance(value, bytes) else _npy(value)
           for name, value in arrays.items()},
    }  # fmt: skip


def _array(members: Members, name: str) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(members[f"{name}.npy"]))


def _with(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Members], Members]:
    return lambda members: _set(**{name: change(_array(members, name))})(members)


def _without(name: str) -> Callable[[Members], Members]:
    return lambda members: {key: it for key, it in members.items() if key != f"{name}.npy"}


def _declared(shape: str) -> Callable[[Members], Members]:
    """Declare another shape in the header of the scores."""

    def edit(members: Members) -> Members:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
        header = header.ljust(117) + "\n"
        content = _array(members, "scores").tobytes()
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
        return {**members, "scores.npy": start + header.encode() + content}

    return edit


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("pwned", "w")


def _json(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


MEMBERS: dict[str, Callable[[Members], Members]] = {
    "pickled scores": _set(scores=_npy(np.array([_Code()] * 9, object), allow_pickle=True)),
    "pickled texts": _set(utf8=_npy(np.array([_Code()], object), allow_pickle=True)),
    "a pickle for an array": _set(scores=pickle.dumps(_Code())),
    "text for an array": _set(scores=b"1.0, 2.0"),
    "nothing for an array": _set(scores=b""),
    "scores float64": _with("scores", lambda a: a.astype(np.float64)),
    "scores big-endian": _with("scores", lambda a: a.astype(">f4")),
    "scores integers": _set(scores=np.arange(9)),
    "scores complex": _set(scores=np.arange(9) * 1j),
    "scores strings": _set(scores=np.array(list("abcdefghi"))),
    "scores in two dimensions": _with("scores", lambda a: a[:, None]),
    "scores infinite": _with("scores", lambda a: np.full_like(a, np.inf)),
    "scores too few": _with("scores", lambda a: a[:-1]),
    "scores too many": _with("scores", lambda a: np.append(a, a)),
    "declared too large": _declared("(1000000000000,)"),
    "declared too small": _declared("(2,)"),
    "declared negative": _declared("(-9,)"),
    "declared absurd": _declared("(2**70,)"),
    "declared in many dimensions": _declared("(" + "1," * 5000 + ")"),
    "offsets decreasing": _with("offsets", lambda a: a[::-1].copy()),
    "offsets int32": _with("offsets", lambda a: a.astype(np.int32)),
    "offsets floats": _with("offsets", lambda a: a.astype(float)),
    "offsets shifted": _with("offsets", lambda a: a + 1),
    "ends of texts beyond": _with("utf8_offsets", lambda a: a + 10**9),
    "ends of texts negative": _with("utf8_offsets", lambda a: -a),
    "ends of texts within a character": _with("utf8_offsets", lambda a: np.r_[a[:-2], 35, a[-1]]),
    "no ends of texts": _set(utf8_offsets=np.array([], dtype=np.int64)),
    "texts of no UTF-8": _with("utf8", lambda a: a | 0x80),
    "texts with other words": _with("utf8", lambda a: np.where(a == ord(" "), ord("x"), a)),
    "texts as strings": _set(utf8=np.array(["play some jazz"])),
    "another version": _set(format=np.int64(2)),
    "version an array": _set(format=np.array([1, 1])),
    "version a float": _set(format=np.array(1.5)),
    "provenance no JSON": _set(provenance=_json("{'source'")),
    "provenance a list": _set(provenance=_json("[1]")),
    "provenance nested deeply": _set(provenance=_json("[" * 10**5 + "]" * 10**5)),
    "provenance with NaN": _set(provenance=_json('{"a": NaN}')),
    "provenance with a huge number": _set(provenance=_json('{"a": ' + "9" * 10**4 + "}")),
    "provenance no UTF-8": _set(provenance=np.array([0xFF, 0xFE], dtype=np.uint8)),
    "unpacks to 40 MB": _set(scores=np.zeros(10**7, dtype=np.float32)),
    "unpacks to 40 MB elsewhere": _set(extra=np.zeros(10**7, dtype=np.float32)),
    "an extra array": _set(extra=np.arange(3)),
    **{f"without {name}": _without(name) for name in
       ("format", "utf8", "utf8_offsets", "scores", "offsets", "provenance")},
}  # fmt: skip
