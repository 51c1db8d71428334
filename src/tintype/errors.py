"""Every error Tintype raises on purpose.

TintypeError
├── ModelFileError              something about a model file or what lies beside it
│   ├── UnknownModelFormat      no known kind of model file
│   ├── ModelFileDamaged        cut short, inconsistent, or not what its header says
│   ├── ModelFileTooLarge       declares more than the limits allow
│   ├── UnsafeModel             holds code (Keras Lambda, pickles, Python operations)
│   ├── NotAnImageModel         its input is no picture, or its output no labels or boxes
│   ├── UnsupportedModel        a layer or operation that nothing here can run
│   ├── LabelsError             a labels file that cannot be read
│   ├── CardError               a model.toml that cannot be used
│   └── GoldenSetFailed         too many golden pictures answered wrongly
├── ImageError                  something about a picture
│   ├── UnsupportedImageFormat  magic bytes outside the allow-list
│   ├── ImageTooLarge           pixels, sides or scans above the limits, told by the header
│   ├── ImageInvalid            a header that makes no sense
│   ├── ImageTruncated          ends too early
│   └── ImageCorrupt            the decoder refuses it
├── RequestError                something about what a caller asked
│   ├── MalformedRequest        body or options that cannot be read
│   ├── BodyTooLarge            more bytes than the limit
│   ├── BodyTooSlow             the body did not arrive in time
│   ├── TooManyImages           more pictures than the limit in one request
│   ├── UnsupportedEncoding     a compressed request body
│   ├── InputDisabled           pictures by address or by path, not switched on
│   ├── InputNotAllowed         an address or a path that the operator does not allow
│   ├── InputUnreachable        a picture that is not where the caller says
│   ├── UnknownModel            no model of that name is served
│   ├── Unauthorized            no key, or none that holds
│   ├── Forbidden               the key may not do that
│   ├── RateLimited             more in a short time than is allowed
│   ├── QuotaExceeded           more in a day than the key may
│   ├── UnknownPrediction       no prediction of that id is in the record
│   ├── RecordDisabled          the record is switched off
│   └── ForeignForm             a form that a page of another site sent
├── ServingError                the request was fine, the server could not
│   ├── Overloaded              a queue or the memory for pictures is full
│   ├── DeadlineExceeded        the answer came too late
│   ├── EngineFailed            the engine raised while running a batch
│   │   └── RemoteRefused       a remote server does not take what it was sent
│   ├── RemoteFailed            a remote server failed, or answered what cannot be used
│   ├── RemoteUnreachable       a remote server cannot be asked: nothing was sent
│   ├── ModelUnavailable        the model is not loaded, or is going away
│   └── RecordUnavailable       the record's database cannot be written or read now
└── SettingsError               a flag, variable or setting that cannot be used

Every class has a stable ``type`` (the slug of its problem document). A message says what was
wrong and what was expected; ``hint`` names the flag or setting that helps; ``facts`` holds the
numbers (limit, actual, format) for machines. Nothing here knows HTTP: ``web/errors.py`` maps
these classes to status codes.
"""

from __future__ import annotations

from typing import ClassVar

Fact = str | int | float


class TintypeError(Exception):
    """Something that a person can mend."""

    type: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts


class ModelFileError(TintypeError):
    """A model file, its labels or its card cannot be used."""

    type = "model-file"


class UnknownModelFormat(ModelFileError):
    """The content is of no known kind of model file."""

    type = "unknown-model-format"


class ModelFileDamaged(ModelFileError):
    """The file is cut short or contradicts itself."""

    type = "model-file-damaged"


class ModelFileTooLarge(ModelFileError):
    """The file declares more than the limits allow."""

    type = "model-file-too-large"


class UnsafeModel(ModelFileError):
    """The file holds code, which is never run."""

    type = "unsafe-model"


class NotAnImageModel(ModelFileError):
    """The model takes no picture, or answers with neither labels nor boxes."""

    type = "not-an-image-model"


class UnsupportedModel(ModelFileError):
    """The model needs a layer or an operation that nothing here can run."""

    type = "unsupported-model"


class LabelsError(ModelFileError):
    """The labels file cannot be read."""

    type = "labels"


class CardError(ModelFileError):
    """The model card cannot be used."""

    type = "model-card"


class GoldenSetFailed(ModelFileError):
    """A version answers too many of its golden pictures wrongly."""

    type = "golden-set"


class ImageError(TintypeError):
    """A picture cannot be used."""

    type = "image"


class UnsupportedImageFormat(ImageError):
    """The bytes are no picture of an allowed format."""

    type = "unsupported-image-format"


class ImageTooLarge(ImageError):
    """The header declares more pixels, longer sides or more scans than allowed."""

    type = "image-too-large"


class ImageInvalid(ImageError):
    """The header makes no sense."""

    type = "image-invalid"


class ImageTruncated(ImageError):
    """The file ends before the picture does."""

    type = "image-truncated"


class ImageCorrupt(ImageError):
    """The decoder refuses the picture."""

    type = "image-corrupt"


class RequestError(TintypeError):
    """What was asked cannot be understood or is not allowed."""

    type = "request"


class MalformedRequest(RequestError):
    """The body or an option cannot be read."""

    type = "malformed-request"


class BodyTooLarge(RequestError):
    """The body has more bytes than the limit."""

    type = "body-too-large"


class BodyTooSlow(RequestError):
    """The body did not arrive in time."""

    type = "body-too-slow"


class TooManyImages(RequestError):
    """The request holds more pictures than the limit."""

    type = "too-many-images"


class UnsupportedEncoding(RequestError):
    """The request body is compressed."""

    type = "unsupported-content-encoding"


class InputDisabled(RequestError):
    """Pictures by address or by path are not switched on."""

    type = "input-disabled"


class InputNotAllowed(RequestError):
    """The address or path of the picture is none that the operator allows."""

    type = "input-not-allowed"


class InputUnreachable(RequestError):
    """The picture cannot be got from the address or path that was named."""

    type = "input-unreachable"


class UnknownModel(RequestError):
    """No model of that name is served."""

    type = "unknown-model"


class Unauthorized(RequestError):
    """There is no key, or none that holds."""

    type = "unauthorized"


class Forbidden(RequestError):
    """The key may not do that."""

    type = "forbidden"


class RateLimited(RequestError):
    """More was asked in a short time than is allowed."""

    type = "rate-limited"


class QuotaExceeded(RequestError):
    """More was asked in a day than the key may."""

    type = "quota-exceeded"


class UnknownPrediction(RequestError):
    """No prediction of that id is in the record."""

    type = "unknown-prediction"


class RecordDisabled(RequestError):
    """The record is switched off."""

    type = "record-disabled"


class ForeignForm(RequestError):
    """A page of another site asks for something in a person's name."""

    type = "foreign-form"


class ServingError(TintypeError):
    """The request was fine; the server could not answer it."""

    type = "serving"


class Overloaded(ServingError):
    """A queue, or the memory set aside for pictures, is full."""

    type = "overloaded"


class DeadlineExceeded(ServingError):
    """The deadline passed before the answer was there."""

    type = "deadline-exceeded"


class EngineFailed(ServingError):
    """The engine raised while it ran a batch."""

    type = "engine-failed"


class RemoteRefused(EngineFailed):
    """The remote server that runs the model does not take what it was sent."""

    type = "remote-refused"


class RemoteFailed(ServingError):
    """The remote server that runs the model failed, or answered what cannot be used."""

    type = "remote-failed"


class RemoteUnreachable(ServingError):
    """The remote server that runs the model cannot be asked; nothing was sent."""

    type = "remote-unreachable"


class ModelUnavailable(ServingError):
    """The model is not loaded, or is going away."""

    type = "model-unavailable"


class RecordUnavailable(ServingError):
    """The record's database cannot be written or read now."""

    type = "record-unavailable"


class SettingsError(TintypeError):
    """A flag, a variable or a setting cannot be used."""

    type = "settings"
