"""What a client remembers and says: keys, values, contexts, replies, and every refusal (paper 4.1)."""

from __future__ import annotations

import copy
import pickle

import pytest

from dynalab.core.clock import Context, Dot
from dynalab.core.config import Config
from dynalab.core.errors import (
    ERRORS,
    BadRequest,
    InvalidContext,
    InvalidKey,
    InvalidQuorum,
    InvalidSetting,
    InvalidValue,
    SeveralValues,
    ValueTooLarge,
    WriteQuorumNotReached,
)
from dynalab.core.messages import ClientFailed, ClientGetDone, ClientPut, ClientPutDone
from dynalab.core.session import Ack, Session, decode_value, encode_key, encode_value, error_of, key_text
from dynalab.core.version import Siblings

LIMIT = 1_000


@pytest.fixture
def session() -> Session:
    return Session("alice", Config(max_value_bytes=LIMIT), "alice.1")


# ------------------------------------------------------------------------------ keys and values


def test_keys_are_bytes_or_text_of_1_to_1024_bytes():
    """Text is its UTF-8 bytes; both boundaries are allowed."""
    assert encode_key("é") == "é".encode()
    assert encode_key(b"\x00\xff") == b"\x00\xff"
    assert len(encode_key("k" * 1024)) == 1024
    assert key_text(b"cart") == "cart"
    assert key_text(b"\xff\x00") == "0xff00"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "a key has 1 to 1024 bytes; '' has 0"),
        (b"", "a key has 1 to 1024 bytes; b'' has 0"),
        ("k" * 1025, "has 1025"),
        ("é" * 513, "has 1026"),
        (7, "a key is str or bytes; got int 7"),
        (None, "a key is str or bytes; got NoneType None"),
        (["k"], "a key is str or bytes; got list"),
        ("\ud800", "holds characters that UTF-8 cannot say"),
    ],
)
def test_other_keys_are_refused_with_value_and_range(key, says):
    """A refused key names itself and what is allowed, definitely."""
    with pytest.raises(InvalidKey) as refused:
        encode_key(key)
    assert says in str(refused.value)
    assert refused.value.definite
    assert isinstance(refused.value, (BadRequest, ValueError))


@pytest.mark.parametrize(
    "value", [b"", b"tea", "", "tea", "b", 0, -1, 1.5, True, False, [], ["a", {"b": None}], {"é": [1]}, "\u2028"]
)
def test_values_come_back_as_they_went(value):
    """Bytes, text and JSON keep their kind."""
    back = decode_value(encode_value(value, LIMIT))
    assert back == value
    assert type(back) is type(value)


def test_a_bytearray_is_bytes_and_a_tuple_a_list():
    """What JSON and bytes do not tell apart comes back as the simpler of the two."""
    assert decode_value(encode_value(bytearray(b"x"), LIMIT)) == b"x"
    assert decode_value(encode_value((1, 2), LIMIT)) == [1, 2]
    assert decode_value(b"of other origin") == b"of other origin"


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object, "type"),
        ({1, 2}, "set {1, 2} is not"),
        (float("nan"), "float nan is not"),
        ([float("inf")], "list [inf] is not"),
        ({(1, 2): 3}, "dict"),
        ({1: "a"}, "JSON names entries by text, not by int 1"),
        ([{"deep": {None: 1}}], "not by NoneType None"),
        ("\ud800", "str"),
        (["\ud800"], "list"),
        (_nested(100_000), "nested too deeply to show"),
    ],
)
def test_what_json_cannot_say_is_refused(value, says):
    """The refusal names type and value, and what would be allowed."""
    with pytest.raises(InvalidValue) as refused:
        encode_value(value, LIMIT)
    assert says in str(refused.value)
    assert refused.value.definite


def test_the_size_limit_counts_encoded_bytes():
    """The limit itself is allowed, one byte more is not."""
    assert encode_value(b"x" * LIMIT, LIMIT)
    assert encode_value("é" * (LIMIT // 2), LIMIT)
    for value in (b"x" * (LIMIT + 1), "é" * (LIMIT // 2 + 1), ["x" * LIMIT]):
        with pytest.raises(ValueTooLarge, match="a value has at most 1,000 bytes encoded; this one has 1,0"):
            encode_value(value, LIMIT)


# ------------------------------------------------------------------------------ requests


def test_request_ids_never_repeat(session):
    """Every request has the session's prefix and a number of its own."""
    requests = [session.put("k", 1).request, session.get("k").request, session.delete("k").request]
    assert requests == ["alice.1-1", "alice.1-2", "alice.1-3"]
    mine = [session.put("k", 1, request_id="mine").request for _ in range(2)]
    assert mine[0] == mine[1]
    assert mine[0].startswith("mine@")
    others = [session.put("k", 2, request_id="mine"), session.put("l", 1, request_id="mine")]
    others += [session.delete("k", request_id="mine"), session.put("k", 1, request_id="mine too")]
    assert len({*mine, *(other.request for other in others)}) == 5
    assert len(session.put("k", 1, request_id="x" * 256).request) <= 128


@pytest.mark.parametrize("request_id", ["", "x" * 257, 7])
def test_a_request_id_is_short_text(session, request_id):
    """A chosen request id has 1 to 256 characters."""
    with pytest.raises(BadRequest, match="request_id must be text of 1 to 256 characters; got "):
        session.put("k", 1, request_id=request_id)


def test_quorums_come_from_the_config_or_the_call(session):
    """n, r and w default to the cluster's; a smaller n shrinks them."""
    assert session.put("k", 1)[5:7] == (3, 2)
    assert session.get("k")[2:4] == (3, 2)
    assert session.get("k", n=1)[2:4] == (1, 1)
    assert session.put("k", 1, n=2, w=1)[5:7] == (2, 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n": 4}, "n must be from 1 to the cluster's N=3; got 4"),
        ({"n": 0}, "n must be from 1 to the cluster's N=3; got 0"),
        ({"n": "3"}, "n must be from 1 to the cluster's N=3; got '3'"),
        ({"n": True}, "n must be from 1 to the cluster's N=3; got True"),
        ({"w": 0}, "w must be from 1 to n=3; got 0"),
        ({"w": 4}, "w must be from 1 to n=3; got 4"),
        ({"w": 1.0}, "w must be from 1 to n=3; got 1.0"),
        ({"n": 2, "w": 3}, "w must be from 1 to n=2; got 3"),
    ],
)
def test_quorums_out_of_range_are_refused(session, options, says):
    """1 <= W <= n <= N, with value and range in the text."""
    with pytest.raises(InvalidQuorum) as refused:
        session.put("k", 1, **options)
    assert str(refused.value) == says
    if "w" in options:
        options = {("r" if name == "w" else name): value for name, value in options.items()}
    with pytest.raises(InvalidQuorum):
        session.get("k", **options)


@pytest.mark.parametrize("timeout_ms", [0, -1, 600_001, 1.5, "100", True])
def test_a_deadline_is_between_a_millisecond_and_ten_minutes(session, timeout_ms):
    """timeout_ms is an integer from 1 to 600,000."""
    with pytest.raises(InvalidSetting, match="timeout_ms must be an integer from 1 to 600000; got "):
        session.get("k", timeout_ms=timeout_ms)
    assert session.get("k", timeout_ms=600_000).timeout_us == 600_000_000
    assert session.put("k", 1, timeout_ms=1).timeout_us == 1_000


# ------------------------------------------------------------------------------ contexts

READ, ACKED = Context({"A": 1}, (), b"1" * 16), Context({}, (Dot("A", 2),), b"2" * 16)


def _read(session, key=b"k", context=READ):
    return session.answer(ClientGetDone("r", key, "A", Siblings(), context, ("A",), (), ""), 1.0)


def _acked(session, key=b"k", context=ACKED):
    done = ClientPutDone("r", key, "A", ("A", "B"), (("D", "C"),), context, READ, 5, False)
    return session.answer(done, 2.0)


def test_a_put_carries_the_last_read_and_the_last_acknowledgement(session):
    """Left out, the context is what this session has seen of this key: both, for the coordinator to join."""
    assert session.put("k", 1).contexts == ()
    assert not session.has_seen("k")
    _read(session)
    assert session.put("k", 1).contexts == (READ,)
    _acked(session)
    assert session.put("k", 1).contexts == (READ, ACKED)
    assert session.delete("k").contexts == (READ, ACKED)
    assert session.put("other", 1).contexts == ()
    assert session.has_seen("k")


def test_a_stale_read_does_not_forget_the_own_write(session):
    """A later read replaces the earlier read, not the acknowledgement."""
    _acked(session)
    stale = Context({}, (), b"")
    _read(session, context=stale)
    assert session.put("k", 1).contexts == (stale, ACKED)


@pytest.mark.parametrize("blind", [None, Context.EMPTY, Context()])
def test_none_and_empty_are_blind(session, blind):
    """`None` and `Context.EMPTY` carry nothing, whatever the session has seen."""
    _read(session)
    message = session.put("k", 1, context=blind)
    assert message.contexts == ()
    assert not message.local


def test_a_named_context_is_carried_alone(session):
    """A context that is named replaces what the session has seen."""
    _read(session)
    assert session.put("k", 1, context=ACKED).contexts == (ACKED,)


def test_local_is_said_and_carries_nothing(session):
    """`Context.LOCAL` is for the coordinator to resolve."""
    _read(session)
    message = session.delete("k", context=Context.LOCAL)
    assert message.local
    assert message.contexts == ()
    assert isinstance(message, ClientPut)
    assert message.value is None


@pytest.mark.parametrize("context", [{"A": 1}, "A1", 7, (READ,)])
def test_other_contexts_are_refused(session, context):
    """A context is what a get or an ack gave."""
    with pytest.raises(InvalidContext, match=r"context= takes what a get or an ack gave as \.context, or None; got "):
        session.put("k", 1, context=context)


# ------------------------------------------------------------------------------ answers


def test_an_ack_tells_who_stored_it_and_what_was_used(session):
    """An ack names coordinator, nodes, hints and the used context."""
    ack = _acked(session)
    assert isinstance(ack, Ack)
    assert (ack.key, ack.coordinator, ack.nodes, ack.hinted) == ("k", "A", ["A", "B"], {"D": "C"})
    assert (ack.context, ack.used_context, ack.latency_ms) == (ACKED, READ, 2.0)


def test_a_get_shows_siblings_decoded_and_hides_tombstones(session):
    """`.values` are live and decoded, `.versions` hold tombstones too."""
    state = Siblings().put("A", encode_value("tea", LIMIT), None).put("A", None, None)
    got = session.answer(ClientGetDone("r", b"k", "A", state, state.context, ("A", "B"), ("B",), ""), 1.0)
    assert (got.values, got.found, got.value) == (["tea"], True, "tea")
    assert [(v.value, str(v.dot), str(v.clock)) for v in got.versions] == [("tea", "A1", "[A1]"), (None, "A2", "[A2]")]
    assert got.stale_nodes == ["B"]


@pytest.mark.parametrize("answer", [_acked, _read], ids=["ack", "got"])
def test_an_answer_is_a_value(session, answer):
    """An answer equals another that says the same, survives a copy, and cannot be changed; it has no hash."""
    told, again, other = answer(session), answer(session), answer(session, key=b"other")
    assert told == again
    assert told not in (other, "an answer")
    assert copy.deepcopy(told) == copy.copy(told) == pickle.loads(pickle.dumps(told)) == told
    for name in (*told.__match_args__, "unknown"):
        with pytest.raises(AttributeError):
            setattr(told, name, getattr(again, name, None))
    with pytest.raises(TypeError):
        hash(told)


def test_an_answer_says_itself(session):
    """Its representation has all fields but those that are long or of no interest."""
    shown = f"nodes=['A', 'B'], hinted={{'D': 'C'}}, context={ACKED!r}, used_context={READ!r}, latency_ms=2.0"
    assert repr(_acked(session)) == f"Ack(key='k', coordinator='A', {shown})"
    shown = f"context={READ!r}, coordinator='A', nodes=['A'], stale_nodes=[], latency_ms=1.0, resolved_by=''"
    assert repr(_read(session)) == f"Got(key='k', values=[], {shown})"


def test_what_a_user_does_to_a_list_stays_done(session):
    """A field is made when somebody looks, and once: later looks show the same list, and it is nobody else's."""
    state = Siblings().put("A", encode_value(["tea"], LIMIT), None)
    got = session.answer(ClientGetDone("r", b"k", "A", state, state.context, ("A", "B"), ("B",), ""), 1.0)
    got.values.append("milk")
    assert got.values == [["tea"], "milk"]
    assert got.values[0] is got.versions[0].value
    for answer, names in ((got, ("nodes", "stale_nodes", "versions")), (_acked(session), ("nodes", "hinted"))):
        for name in names:
            getattr(answer, name).clear()
            assert len(getattr(answer, name)) == 0


def test_a_value_that_cannot_be_decoded_fails_the_get(session):
    """Nobody is given an answer whose values raise when they are looked at."""
    state = Siblings().put("A", b"t\xff", None)
    with pytest.raises(UnicodeDecodeError):
        session.answer(ClientGetDone("r", b"k", "A", state, state.context, ("A",), (), ""), 1.0)


def test_value_is_for_exactly_one(session):
    """`.value` refuses siblings and absence, and says what to do."""
    state = Siblings().put("A", encode_value("x", LIMIT), None).put("A", encode_value("y", LIMIT), None)
    got = session.answer(ClientGetDone("r", b"k", "A", state, state.context, ("A",), (), ""), 1.0)
    with pytest.raises(SeveralValues, match=r"'k' has 2 values: \['x', 'y'\]; use .values and put their merge"):
        _ = got.value
    nothing = _read(session)
    assert not nothing.found
    with pytest.raises(SeveralValues, match=r"'k' has 0 values: \[\]; check .found first"):
        _ = nothing.value


def test_a_failure_raises_its_own_error_with_its_counts(session):
    """The error of a reply has class, text, definiteness, counts and traceback."""
    failed = ClientFailed("r", "WriteQuorumNotReached", "1 of 2", False, 2, 1, ("A",), 50, "Traceback ...")
    with pytest.raises(WriteQuorumNotReached, match="1 of 2") as error:
        session.answer(failed, 1.0)
    raised = error.value
    assert (raised.definite, raised.needed, raised.got, raised.nodes) == (False, 2, 1, ("A",))
    assert (raised.retry_ms, raised.traceback) == (50, "Traceback ...")


def test_every_error_has_a_name_that_travels():
    """Each error is found again by its name; a name that nobody knows is still an error."""
    for error in ERRORS:
        raised = error_of(ClientFailed("r", error.__name__, "text", error.definite))
        assert type(raised) is error
        assert raised.definite == error.definite
    unknown = error_of(ClientFailed("r", "OfAnotherVersion", "text", False))
    assert not unknown.definite
    assert str(unknown) == "text"


def test_an_answer_can_show_other_values(session):
    """Whoever stores more than a user's value shows the user's own; deletions stay, and the first answer, too."""
    state = Siblings().put("A", encode_value("1:tea", LIMIT), None).put("A", None, None)
    got = session.answer(ClientGetDone("r", b"k", "A", state, state.context, ("A",), (), ""), 1.0)
    shown = got.showing(["tea", None])
    assert (shown.values, [version.value for version in shown.versions]) == (["tea"], ["tea", None])
    assert (got.values, shown.request, shown.latency_ms) == (["1:tea"], "r", 1.0)
