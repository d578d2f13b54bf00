"""The quick ways of reading, identifying and validating a document say what the plain ones say."""

import copy
import hashlib
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ie_crowd.check import integrity
from ie_crowd.formats import canonical_json, fast_json, schema, strict
from ie_crowd.formats.strict import Limits
from ie_crowd.result import provenance
from toy_challenge.make import RULES, write_folder

HOSTILE = st.text(alphabet='\\"[]{},:x/~@.1 \n\u202e\x7fé', max_size=12)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1e15, 1e15), HOSTILE)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(HOSTILE, inner, max_size=4))
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("results"))


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def openings_and_commas(value):
    """How the reader counts values: an opening bracket and a comma each stand for one."""
    if not isinstance(value, (dict, list)):
        return 0
    inner = list(value.values() if isinstance(value, dict) else value)
    return 1 + max(0, len(inner) - 1) + sum(map(openings_and_commas, inner))


def odd(text):
    return any(character in "\n\u202e\x7f" for character in text)


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)


@given(DOCUMENTS, st.booleans())
@example(['\\"', "\\\\", '\\\\"]'], True)
def test_limits_are_exact_whatever_the_strings_hold(value, ascii_only):
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    nested, values = depth(value), openings_and_commas(value)
    longest = max(map(len, strings(value)), default=0)
    exact = Limits(depth=nested, values=values, string=longest)
    if any(map(odd, strings(value))):
        with pytest.raises(ValueError, match="is not text"):
            strict.parse_json(content, exact)
        return
    assert strict.parse_json(content, exact) == value
    for tight, says in (
        (Limits(depth=nested - 1, values=values, string=longest), "nested more"),
        (Limits(depth=nested, values=values - 1, string=longest), "holds more than"),
        (Limits(depth=nested, values=values, string=longest - 1), "a string of"),
    ):
        if tight.string < 0 or (nested == 0 and says != "a string of"):
            continue
        with pytest.raises(ValueError, match=says):
            strict.parse_json(content, tight)


@pytest.mark.parametrize("brackets", ["", "[]", "[[][[]]]", "[[", "]][[", "][", "[]" * 99 + "[[]]", "[" * 40, "]" * 40])
def test_nesting_is_counted_exactly(brackets):
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket == "[" else -1
        deepest = max(deepest, depth)
    for most in range(45):
        assert strict._nested_more(brackets.encode(), most) is (deepest > most)


@pytest.mark.parametrize("text", ['"', '{"a": "x}', '"\\', '"\\"', "\\", '{"a": 1}"', '[1,2\\"]'])
def test_what_is_cut_off_stays_refused(text):
    with pytest.raises(ValueError, match="is not JSON"):
        strict.parse_json(text.encode())


@given(DOCUMENTS)
def test_the_canonical_form_is_json_of_the_same_value(value):
    try:
        text = canonical_json.canonical(value)
    except ValueError:
        assert any(0xD800 <= ord(character) <= 0xDFFF for text in strings(value) for character in text)
        return
    assert json.loads(text) == value
    assert canonical_json.canonical(json.loads(text)) == text


TEXTS = st.one_of(
    DOCUMENTS.map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.lists(
        st.sampled_from(
            '{ } [ ] , : "a" "b" "" null true false NaN 0 -0 1 -1.5 1.0 1e5 1E-7 1e999 0.1 9007199254740992 01 .5 x - '
            '123456789012345678901234567890 0.30000000000000004 "\\n" "é" 1.7976931348623157 "\\ud800"'.split()
        ),
        max_size=9,
    ).map("".join),
)


def said(read):
    try:
        return repr(read())
    except ValueError as error:
        return f"refused: {error}"


@settings(max_examples=400)
@given(TEXTS)
@example('{"a":1,"a":2}')
@example('[{"a":1},{"a":{"b":1,"b":1}}]')
@example('{"a\\"":1,"a\\"":2}')
@example('{"a":"\\\\","b":{"c":"x","c":"x"}}')
@example('[true,"false",null,0.1,123456789012345,1234567890123456,1234567890.123456]')
@example("[truefalse]")
@example("[-0,1e400,12345678901234567]")
@example("[0.1e-400, 1.0, -0.0]")
def test_the_quick_reader_says_what_the_plain_one_says(content):
    pytest.importorskip("orjson")
    with_it = said(lambda: strict.parse_json(content.encode("utf-8", "surrogatepass")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_json, "orjson", None)
        assert said(lambda: strict.parse_json(content.encode("utf-8", "surrogatepass"))) == with_it


NUMBERS = st.one_of(st.floats(-1e25, 1e25), st.floats(-1e-3, 1e-3), st.integers(-(2**53) + 1, 2**53 - 1), st.floats())


@settings(max_examples=400)
@given(st.dictionaries(st.text(max_size=3), st.one_of(st.lists(st.one_of(NUMBERS, st.none(), HOSTILE)), DOCUMENTS)))
@example({"a": [1.0, -0.0, 1e-7, 1e21, 123456789.0]})
@example({"a": {"b": float("nan"), "c": None}})
def test_the_quick_identity_is_that_of_the_canonical_form(value):
    def plain():
        without = {key: inner for key, inner in value.items() if key != "id"}
        return hashlib.sha256(canonical_json.canonical(without)).hexdigest()

    for inner in value.values():
        if not said(lambda inner=inner: canonical_json.canonical(inner)).startswith("refused"):
            assert canonical_json.of_parsed(inner).encode() == canonical_json.canonical(inner)
    with_it = said(lambda: canonical_json.identity(value))
    if with_it.startswith("refused"):
        assert said(plain).startswith("refused")
    else:
        assert with_it == said(plain)


PLACES = (
    (),
    ("submitter",),
    ("submitter", "name"),
    ("task", "labels"),
    ("runs", 0, "metrics"),
    ("runs", 0, "epochs"),
    ("runs", 0, "error"),
    ("config",),
    ("config", "season"),
    ("metrics", "forecast.mae", "sd"),
    ("system", "cpu_model"),
    ("files", 0, "path"),
    ("created",),
    ("provenance", "repository"),
)
WRONG = st.one_of(
    SCALARS,
    st.sampled_from([[], {}, [1], {"x": 1}, "a\n", "all", 1.0, 7.0, 1e300, -0.0, "ａ", "runs/../x", "1" * 5000]),
)


@pytest.mark.parametrize("limit", [10**12, -(10**12)])
def test_limits_of_numbers_are_exact(found, limit):
    """They are written as fractions in the schema, and given to the quick validator as whole numbers."""
    pytest.importorskip("jsonschema_rs")
    beyond = limit + (1 if limit > 0 else -1)
    for value, good in ((limit, True), (float(limit), True), (beyond, False), (float(beyond), False)):
        changed = copy.deepcopy(found)
        changed["runs"][0]["metrics"]["forecast.mae"] = value
        assert schema._accepts()(changed) == schema.validator().is_valid(changed) == good, value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(place=st.sampled_from(PLACES), wrong=WRONG, extra=st.booleans())
def test_what_the_quick_validator_accepts_is_valid(found, place, wrong, extra):
    pytest.importorskip("jsonschema_rs")
    changed = copy.deepcopy(found)
    target = changed
    for part in place[:-1]:
        target = target[part]
    if place and extra and isinstance(target, dict):
        target["an extra key"] = wrong
    elif place:
        target[place[-1]] = wrong
    else:
        changed = wrong
    if schema._accepts()(changed):
        assert schema.validator().is_valid(changed)
        assert schema.problems(changed) == []
    else:
        assert bool(schema.problems(changed)) == (not schema.validator().is_valid(changed))


def test_without_the_quick_validator_the_plain_one_is_asked(found, monkeypatch):
    monkeypatch.setattr(schema, "_accepts", lambda _version: lambda _: False)
    assert schema.problems(found) == []
    assert schema.problems({**found, "created": "yesterday"})[0].startswith("/created: ")


@given(st.text(alphabet="/\\~@.:$%fileFILE19 aC\u202e\n'\"", max_size=16))
@example("at 10.0.0.1")
@example("FILE:x")
def test_what_reveals_a_place_is_what_scrubbing_changes(text):
    nobody = provenance.Names((), ())
    assert provenance.reveals(text) == (provenance.scrub(text, nobody) != " ".join(text.split()))


def test_privacy_looks_everywhere_but_at_public_places(found):
    changed = {**found, "config": {**found["config"], "season": "/home/ada"}, "submitter": {"name": "ada@example.org"}}
    item = next(item for item in integrity.check_document(changed, RULES) if item.name == "privacy")
    assert item.detail == "/config/season holds what looks like a path or an address (and 1 more)"
    assert next(item for item in integrity.check_document(found, RULES) if item.name == "privacy").state == "pass"
