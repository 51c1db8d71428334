from __future__ import annotations

import base64
import dataclasses
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.errors import BodyTooLarge, MalformedRequest, TintypeError, TooManyImages
from tintype.types import Point
from tintype.web.uploads import UploadLimits, decode_base64, read_batch, read_upload

BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
JSON = "application/json"


def form(*parts: tuple[str, bytes] | tuple[str, bytes, str]) -> bytes:
    """A multipart body by hand."""
    body = b""
    for name, data, *filename in parts:
        told = f'; filename="{filename[0]}"' if filename else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


@pytest.fixture
def read(limits):
    def read(body, content_type="", query=()):
        return read_upload(body, content_type=content_type, query=query, limits=limits)

    return read


@pytest.fixture
def batch(limits):
    def batch(body, content_type="", query=()):
        return read_batch(body, content_type=content_type, query=query, limits=limits)

    return batch


@pytest.mark.parametrize(
    "content_type",
    ["", "image/png", "image/jpeg", "application/x-www-form-urlencoded", JSON, FORM, "\x00;;="],
)
def test_a_picture_is_a_picture_whatever_its_content_type(read, png, content_type):
    """The command curl --data-binary says it sends a form; the bytes decide."""
    assert png == read(png, content_type).image


def test_a_picture_that_curl_tore_is_told(read):
    """``curl -d`` leaves line ends and zero bytes out; the decoder's words would not help."""
    noise = random.Random(0).randbytes(4000)
    torn = b"\xff\xd8\xff" + bytes(byte for byte in noise if byte not in b"\r\n\0")
    with pytest.raises(MalformedRequest, match="curl -d") as caught:
        read(torn, "application/x-www-form-urlencoded")
    assert "--data-binary" in (caught.value.hint or "")
    assert torn == read(torn, "image/jpeg").image
    assert (
        b"\xff\xd8\xff" + noise
        == read(b"\xff\xd8\xff" + noise, "application/x-www-form-urlencoded").image
    )


def test_a_body_of_no_known_kind_is_handed_on_as_a_picture(read):
    """The picture's own reader says best what it is not."""
    assert b"II*\x00 tiff" == read(b"II*\x00 tiff", "image/tiff").image


@pytest.mark.parametrize("field", ["image", "file"])
def test_a_form_brings_picture_name_and_options(read, png, field):
    """The field image, or its other name file, beside options as fields."""
    upload = read(form((field, png, "my dog.png"), ("top", b"2")), FORM)
    assert (png, "my dog.png", 2) == (upload.image, upload.name, upload.options.top)


def test_the_bytes_of_a_picture_may_look_like_a_boundary(read, png):
    """Dashes and line ends inside a picture are its own."""
    data = png + b"\r\n--frontie\r\n--"
    assert data == read(form(("image", data, "a.png")), FORM).image


def test_an_empty_file_is_told_to_who_chose_it(read):
    """In words for a person at the page, not for a program."""
    with pytest.raises(MalformedRequest, match="no bytes") as caught:
        read(form(("image", b"", "cat.jpg")), FORM)
    assert "choose another" in (caught.value.hint or "")


def test_a_form_without_a_chosen_file_has_no_picture(read):
    """Browsers send an empty part with an empty name then."""
    with pytest.raises(MalformedRequest, match="no picture in the request"):
        read(form(("image", b"", ""), ("top", b"")), FORM)


@pytest.mark.parametrize(
    "encode",
    [
        lambda data: base64.b64encode(data).decode(),
        lambda data: base64.urlsafe_b64encode(data).decode(),
        lambda data: base64.b64encode(data).decode().rstrip("="),
        lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
        lambda data: base64.encodebytes(data).decode(),
        lambda data: "data:image/png;base64," + base64.b64encode(data).decode(),
        lambda data: "data:;base64," + base64.urlsafe_b64encode(data).decode(),
        lambda data: "data:image/svg+xml;charset=utf-8;base64," + base64.b64encode(data).decode(),
    ],
)
@given(data=st.binary(min_size=1, max_size=64))
def test_base64_of_every_kind_is_read(encode, data):
    """Either alphabet, padded or not, with line ends, or as a data URL."""
    assert data == decode_base64(encode(data), limit=100)


@pytest.mark.parametrize(
    "text",
    ["", "=", "A", "AAAAA", "ab!d", "AA!AA", "äöü", "data:image/png,AAAA", "AA=A", "A\x00AA"],
)
def test_what_is_no_base64_is_refused(text):
    """Nothing is skipped or mended in silence."""
    with pytest.raises(MalformedRequest):
        decode_base64(text, limit=100)


def test_the_length_of_base64_is_checked_before_it_is_decoded():
    """The number of bytes is known from the number of letters; these are no base64 at all."""
    with pytest.raises(BodyTooLarge) as caught:
        decode_base64("?" * 200, limit=100)
    assert {"limit": 100, "actual": 150} == caught.value.facts


def test_json_brings_picture_and_options(read, png):
    """Options are keys beside the picture."""
    body = {"image": base64.b64encode(png).decode(), "points": [[1, 2]], "model": ["a"]}
    upload = read(json.dumps(body).encode(), JSON)
    assert (png, ("a",), (Point(x=1, y=2),)) == (
        upload.image,
        upload.options.models,
        upload.options.points,
    )


@pytest.mark.parametrize("kind", ["", "application/x-www-form-urlencoded", "text/plain"])
def test_json_is_read_where_curl_calls_it_a_form(read, png, kind):
    """The command curl -d '{...}' without a content type is meant as JSON."""
    body = json.dumps({"image": base64.b64encode(png).decode()}).encode()
    assert png == read(body, kind).image


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"3",
        b'{"image": 3}',
        b'{"image": null}',
        b'{"image": ["AAAA"]}',
        b'{"images": ["AAAA"]}',
        b'{"image": "AAAA", "tpo": 3}',
        b'{"image": "AAAA", "x": 1}',
        b'{"image": "\\ud800"}',
        b'{"image": "' + b"\xff" + b'"}',
        b'{"a": ' + b"[" * 100_000,
        b'{"image": 1' + b"0" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_json_that_makes_no_sense_is_refused(read, body):
    """Broken, deep, of the wrong shape, or full of tiny values: one clear error."""
    with pytest.raises(MalformedRequest):
        read(body, JSON)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", ""),
        (b"no form", FORM),
        (form(("image", b"x"))[:-6], FORM),
        (form(("image", b"x")), "multipart/form-data"),
        (form(("image", b"x")), "multipart/form-data; boundary="),
        (form(("image", b"x")), "multipart/form-data; boundary=" + "b" * 300),
        (form(("image", b"x"), ("top", b"\xff")), FORM),
        (form(("image", b"x"), ("model", b"m" * 70_000)), FORM),
        (form(("image", b"x"), ("colour", b"red")), FORM),
        (form(("image", b"x")).replace(b"form-data", b"attachment"), FORM),
    ],
    ids=range(10),
)
def test_forms_that_make_no_sense_are_refused(read, body, content_type):
    """No body, no boundary, cut short, too many fields, huge fields, unknown fields."""
    with pytest.raises(MalformedRequest):
        read(body, content_type)


def test_a_form_of_very_many_fields_is_not_read_to_its_end(read):
    """Each field costs far more memory than it has bytes."""
    with pytest.raises(MalformedRequest, match="the form cannot be read"):
        read(form(*[("model", b"a")] * 300), FORM)


def test_json_of_very_many_values_is_not_parsed(read):
    """Each value costs far more memory than it has bytes; this is no JSON at its end."""
    with pytest.raises(MalformedRequest, match="more than 4096 values"):
        read(b'{"points": [' + b"0," * 5000, JSON)


def test_options_may_come_from_the_query_and_the_body_together(read, png):
    """Query and form are read alike; the same option in both is refused."""
    upload = read(form(("image", png), ("top", b"2")), FORM, [("threshold", "0.5")])
    assert (2, 0.5) == (upload.options.top, upload.options.threshold)
    with pytest.raises(MalformedRequest, match="top is given 2 times"):
        read(form(("image", png), ("top", b"2")), FORM, [("top", "2")])


def test_one_picture_is_expected_where_one_is_asked_for(read, png):
    """Several pictures belong to the batch route, and the error says so."""
    with pytest.raises(TooManyImages) as caught:
        read(form(("image", png), ("image", png)), FORM)
    assert "/api/predict/batch" in caught.value.hint


def test_a_batch_keeps_order_and_marks_what_cannot_be_read(batch, png):
    """A picture that is no base64 leaves an error in its place, nothing else."""
    body = {"images": [base64.b64encode(png).decode(), "!", 3], "top": 1}
    upload = batch(json.dumps(body).encode(), JSON)
    assert png == upload.images[0]
    assert [MalformedRequest, MalformedRequest] == [type(each) for each in upload.images[1:]]


def test_a_batch_may_be_a_form(batch, png):
    """Many fields image are many pictures."""
    upload = batch(form(("image", png, "a"), ("file", b"x", "b"), ("image", b"", "c")), FORM)
    assert (png, b"x") == upload.images[:2]
    assert isinstance(upload.images[2], MalformedRequest)


@pytest.mark.parametrize("body", [b'{"images": "AAAA"}', b'{"images": []}', b"{}"])
def test_a_batch_without_pictures_is_refused(batch, body):
    """An empty list is a mistake of the caller."""
    with pytest.raises(MalformedRequest):
        batch(body, JSON)


def test_a_batch_has_a_limit_on_pictures(batch, limits, png):
    """The error names the limit and the number sent."""
    with pytest.raises(TooManyImages) as caught:
        batch(form(*[("image", png)] * 5), FORM)
    assert {"limit": limits.max_images, "actual": 5} == caught.value.facts


@given(
    body=st.binary(max_size=200) | st.builds(lambda data: form(("image", data)), st.binary()),
    content_type=st.sampled_from([FORM, JSON, "", 'multipart/form-data; boundary="a']) | st.text(),
)
def test_any_body_gives_an_upload_or_a_clear_error(body, content_type):
    """Whatever arrives, nothing but our own errors escapes."""
    limits = dataclasses.replace(UploadLimits(), max_body_bytes=1000)
    for read in (read_upload, read_batch):
        try:
            read(body, content_type=content_type, query=[], limits=limits)
        except TintypeError as error:
            assert error.message  # noqa: PT017 - either way is right
