"""Pictures in a bucket of an S3-compatible store. Needs the extra ``s3``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tintype.bulk.folders import is_litter
from tintype.bulk.items import Item, failing
from tintype.bulk.picture_file import too_large
from tintype.bulk.sources import Store
from tintype.errors import InputUnreachable
from tintype.record.picture_bucket import store_client, translated

if TYPE_CHECKING:
    from minio import Minio

_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "AccessDenied"})


def open_store(endpoint: str, *, max_bytes: int) -> Store:
    """The store at an endpoint, with keys from where ``store_client`` has them.

    Raises SettingsError. What is listed or read of it raises OSError while it is away.
    """
    client = store_client(endpoint)
    return Store(
        objects=partial(_objects, client, max_bytes=max_bytes),
        one=partial(_one, client, max_bytes=max_bytes),
    )


def _objects(client: Minio, address: str, *, max_bytes: int) -> Iterator[Item]:
    """What lies below a prefix, by key: the store lists it so, a thousand at a time."""
    bucket, key = _split(address)
    with translated():
        for found in client.list_objects(bucket, prefix=key, recursive=True):
            name = found.object_name or ""
            below = not key or name == key or name.startswith(key.rstrip("/") + "/")
            if below and not name.endswith("/") and not is_litter(name.rpartition("/")[2]):
                read = partial(_read, client, bucket, name, max_bytes=max_bytes)
                yield Item(name=f"s3://{bucket}/{name}", size=found.size or 0, read=read)


def _one(client: Minio, address: str, *, max_bytes: int) -> Item:
    bucket, key = _split(address)
    if not bucket or not key:
        return failing(address, InputUnreachable("it is no address: s3://BUCKET/KEY"))
    read = partial(_read, client, bucket, key, max_bytes=max_bytes)
    return Item(name=address, size=0, read=read)


def _read(client: Minio, bucket: str, key: str, *, max_bytes: int) -> bytes:
    """The bytes of an object. Raises InputUnreachable where there is none, else OSError."""
    from minio.error import S3Error  # noqa: PLC0415 - an extra

    with translated():
        try:
            answer = client.get_object(bucket, key)
        except S3Error as error:
            if error.code in _GONE:
                raise InputUnreachable(f"the store has no such picture: {error.code}") from error
            raise
        try:
            data = answer.read(max_bytes + 1)
        finally:
            answer.close()
            answer.release_conn()
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def _split(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key
