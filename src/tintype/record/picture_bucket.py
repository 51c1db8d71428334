"""Kept pictures in a bucket of an S3-compatible store. Needs the extra ``s3``."""

from __future__ import annotations

import configparser
import io
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tintype.errors import SettingsError

if TYPE_CHECKING:
    from minio import Minio
    from urllib3 import PoolManager

_TIMEOUT_SECONDS: Final = 10.0
_TRIES: Final = 2
_CONNECTIONS: Final = 16
_ROLE_SECONDS: Final = 1.0
"""A machine that has a role answers at once; where there is none, often nobody answers at all."""
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
    """The client of an S3-compatible store; the store is not connected to yet.

    Keys come from the environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``), from AWS'
    own file, or from the machine's role. Raises SettingsError for an address that is none, where
    there are no keys, and where the client is not installed.
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
    asks_role = IamAwsProvider(http_client=_http(seconds=_ROLE_SECONDS))
    keys = ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), asks_role])
    try:
        keys.retrieve()  # at the start, not with the first picture
    except configparser.Error as error:
        raise SettingsError(
            f"AWS' own file of keys cannot be read: {str(error).partition(chr(10))[0]}",
            hint="mend it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ) from error
    except (ValueError, urllib3.exceptions.HTTPError) as error:
        raise _no_keys(store.netloc) from error
    return Minio(
        store.netloc,
        secure=store.scheme == "https",
        credentials=keys,
        http_client=_http(seconds=_TIMEOUT_SECONDS),
    )


def _http(*, seconds: float) -> PoolManager:
    import urllib3  # noqa: PLC0415 - see above

    return urllib3.PoolManager(
        timeout=urllib3.Timeout(seconds), retries=urllib3.Retry(_TRIES), maxsize=_CONNECTIONS
    )


def _no_address() -> SettingsError:
    return SettingsError(
        "pictures.place or pictures.endpoint is no address",
        hint="place: s3://BUCKET/PREFIX, endpoint: https://HOST",
    )


def _no_keys(host: str) -> SettingsError:
    return SettingsError(
        f"no keys for the store of pictures at {host}: the environment has none, AWS' own file has "
        "none, and this machine has no role",
        hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE and "
        "AWS_SHARED_CREDENTIALS_FILE; the store's address is pictures.endpoint",
    )
