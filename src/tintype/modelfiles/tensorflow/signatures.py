"""Which signature of a SavedModel to serve."""

from __future__ import annotations

from collections.abc import Mapping

from tintype.errors import ModelFileError, NotAnImageModel
from tintype.modelfiles.tensorflow.outputs import nearest
from tintype.modelfiles.tensorflow.saved_model_file import Signature, TensorInfo

DEFAULT = "serving_default"
_INTERNAL = "__saved_model"


def choose_signature(
    signatures: Mapping[str, Signature], *, asked: str | None
) -> tuple[Signature, str]:
    """The signature and why: the one asked for, the default, the only one, one for pictures.

    A default that takes no pixels gives way to another one that does. Raises ModelFileError for a
    name that is not there, NotAnImageModel where there is none at all.
    """
    usable = {
        name: signature
        for name, signature in signatures.items()
        if signature.inputs and signature.outputs and not name.startswith(_INTERNAL)
    }
    if asked is not None:
        if asked not in usable:
            raise ModelFileError(
                f"the SavedModel has no signature {asked!r}; it has {_list(usable)}",
                hint=f"--signature takes one of them, such as {nearest(asked, list(usable))}",
            )
        return usable[asked], f"the signature is {asked!r}: it was given"
    if not usable:
        raise NotAnImageModel(
            "the SavedModel has no signature: nothing says where a picture goes in",
            hint="save it with signatures, or with Keras' model.export",
        )
    return _choose(usable)


def _choose(usable: Mapping[str, Signature]) -> tuple[Signature, str]:
    pictures = [name for name in usable if takes_pictures(usable[name])]
    if DEFAULT in usable and (DEFAULT in pictures or not pictures):
        return usable[DEFAULT], f"the signature is {DEFAULT!r}: the default of {len(usable)}"
    if len(usable) == 1:
        (name,) = usable
        return usable[name], f"the signature is {name!r}: the only one"
    name = min(pictures or usable, key=_preference)
    why = "it takes pictures" if pictures else "there is no default"
    if DEFAULT in usable:
        why += f", and {DEFAULT!r} does not"
    return usable[name], f"the signature is {name!r}: {why} (of {_list(usable)})"


def takes_pictures(signature: Signature) -> bool:
    """Whether an input has the rank and the number type of a batch of pictures."""
    return any(_is_picture(info) for info in signature.inputs.values())


def _is_picture(info: TensorInfo) -> bool:
    numbers = info.dtype.startswith(("float", "uint8", "int"))
    return numbers and info.shape is not None and len(info.shape) == 4


def _preference(name: str) -> tuple[bool, str]:
    """Signatures with telling names first, then by the alphabet."""
    telling = any(
        word in name.lower() for word in ("predict", "image", "serv", "classif", "default")
    )
    return not telling, name


def _list(signatures: Mapping[str, Signature]) -> str:
    return ", ".join(repr(name) for name in sorted(signatures)[:10]) or "none"
