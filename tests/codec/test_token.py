"""A context as text: it comes back as it was, and strangers' text is refused."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.codec.bounds import WireError
from dynalab.codec.token import TOKEN_CHARACTERS_MAX, decode_context, encode_context
from dynalab.core.clock import Context
from tests.codec.strategies import values_of


@given(values_of(Context))
def test_a_context_comes_back_as_it_was(context):
    """Entries, dots and seal survive the way through text that needs no quoting in a URL."""
    text = encode_context(context)
    assert decode_context(text) == context
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(b"\x01" + data).decode()))
def test_a_stranger_s_text_is_a_context_or_refused(text):
    """Nothing but a context or `WireError` comes of any text."""
    with suppress(WireError):
        assert isinstance(decode_context(text), Context)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AA",
        "\u00e9",
        "a b",
        encode_context(Context({"A": 1}, (), b"seal"))[:-2],
        base64.urlsafe_b64encode(b"\x02\x93\x80\x90\xc4\x00").decode(),
        base64.urlsafe_b64encode(b"\x01\x93\x81\xa1A\xff\x90\xc4\x00").decode(),
        "A" * (TOKEN_CHARACTERS_MAX + 1),
    ],
)
def test_what_is_no_context_is_refused(text):
    """Empty, cut short, another version, a counter below 0, too long: each is refused."""
    with pytest.raises(WireError):
        decode_context(text)
