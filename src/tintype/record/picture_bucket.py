"""Kept pictures in a bucket of an S3-compatible store. Needs the extra ``s3``."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tintype.errors import SettingsError

if TYPE_CHECKING:
    from minio import Minio

_TIMEOUT_SECONDS: Final = 10.0
_TRIES: Final = 2
_CONNECTIONS: Final = 16
_ONE_PART: Final = 1 << 30  # a picture is one request


class PictureBucket:
    """Objects below a prefix of a bucket. What the store refuses is an OSError."""

    def __init__(self, client: Minio, *, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        with translated():
            self._client.put_object(
                self._bucket,
                self._prefix + name,
                io.BytesIO(data),
                length=len(data),
                part_size=_ONE_PART,
            )

    def get(self, name: str) -> bytes:
        """Read an object."""
        with translated():
            answer = self._client.get_object(self._bucket, self._prefix + name)
            try:
                return bytes(answer.data)
            finally:
                answer.close()
                answer.release_conn()

    def delete(self, name: str) -> None:
        """Delete an object; S3 has no error for one that is not there."""
        with translated():
            self._client.remove_object(self._bucket, self._prefix + name)


class translated:  # noqa: N801 - a context manager
    """The client's errors as OSError, which everything above knows."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate."""
        from minio.error import MinioException  # noqa: PLC0415 - an extra
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - it comes with minio

        if isinstance(error, MinioException | HTTPError | ValueError):
            raise OSError(f"the store of pictures: {error}") from error


def bucket(address: str, *, endpoint: str) -> PictureBucket:
    """The bucket of ``s3://BUCKET/PREFIX`` at an endpoint, see ``store_client``."""
    where = urlsplit(address)
    if not where.netloc:
        raise _no_address()
    client = store_client(endpoint)
    return PictureBucket(client, bucket=where.netloc, prefix=where.path.strip("/"))


def store_client(endpoint: str) -> Minio:
    """The client of an S3-compatible store; nothing is connected to yet.

    Keys come from the environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``), from AWS'
    own file, or from the machine's role. Raises SettingsError for an address that is none, and
    where the client is not installed.
    """
    try:
        import urllib3  # noqa: PLC0415 - it comes with minio
        from minio import Minio  # noqa: PLC0415 - an extra
        from minio.credentials.providers import (  # noqa: PLC0415 - an extra
            AWSConfigProvider,
            ChainedProvider,
            EnvAWSProvider,
            IamAwsProvider,
        )
    except ModuleNotFoundError as error:
        raise SettingsError(
            "the client for S3-compatible stores is not installed",
            hint="pip install 'tintype[s3]'",
        ) from error
    store = urlsplit(endpoint)
    if store.scheme not in {"http", "https"} or not store.netloc:
        raise _no_address()
    patience = urllib3.PoolManager(
        timeout=urllib3.Timeout(_TIMEOUT_SECONDS),
        retries=urllib3.Retry(_TRIES),
        maxsize=_CONNECTIONS,
    )
    return Minio(
        store.netloc,
        secure=store.scheme == "https",
        credentials=ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), IamAwsProvider()]),
        http_client=patience,
    )


def _no_address() -> SettingsError:
    return SettingsError(
        "pictures.place or pictures.endpoint is no address",
        hint="place: s3://BUCKET/PREFIX, endpoint: https://HOST",
    )
