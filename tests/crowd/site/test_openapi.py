"""The description of the API against its answers: every answer has all the fields that are described, and no other."""

import pytest

pytest.importorskip("starlette")
from ie_crowd.site.api import exports, openapi, routes
from ie_crowd.store.people import comments
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

MAE = "forecast.mae"
DESCRIBED = openapi.document(routes.OPERATIONS)
OPTIONAL = {"uploaded_by", "reasons"}  # of a result: for some eyes only; of a problem: where it was withdrawn
QUERIES = {
    "listResults": ["", f"?sort={MAE}", "?metrics=no.such"],
    "readRanking": ["", "?most=1", "?page=2"],
    "readPoints": [f"?x={x}&y={MAE}" for x in ("labels", "created", "published", "wall_seconds", MAE)],
    "readByLabels": [f"?metric={MAE}"],
    "compareResults": [
        "?a={published}&b={bobs}",
        "?a={published}&b={bobs}&only=differences",
        "?a={published}&b={bobs}&c={published}",
    ],
}
NEEDS = {"points": f"?x=labels&y={MAE}", "labels": f"?metric={MAE}", "comparison": "?a={published}&b={bobs}"}


@pytest.fixture
def site(copied_site):
    """A site where everything that the API lists is there; ``site.get(path)`` asks as an operator."""
    site = copied_site
    comments.judge_comment(site.engine, site.found["comment"], site.accounts["Rev"], visible=True)
    comments.comment(site.engine, site.accounts["Rev"], "On the paper.")
    comments.sign(site.engine, site.ids["published"], site.accounts["Rev"], "acm", "documented", "pass", "read")
    client = TestClient(site.app, base_url="http://localhost")
    operator = {"Authorization": f"Bearer {site.tokens['Boss']}"}
    headers = {**operator, "Content-Type": "application/json"}
    assert client.post("/api/v1/results", content=b"{}", headers=headers).status_code == 422  # is listed as refused
    site.get = lambda path, headers=operator: client.get(f"/api/v1{path.format(**site.ids)}", headers=headers)
    return site


def asked(operation):
    """The addresses that reach everything that an operation can answer with."""
    if operation.name == "exportTable":
        return [f"/exports/{name}.json{NEEDS.get(name, '')}" for name in exports.TABLES]
    if "{id}" in operation.path:
        return [operation.path.replace("{id}", f"{{{name}}}") for name in ("published", "bobs", "valid", "quarantined")]
    return [operation.path + query for query in QUERIES.get(operation.name, [""])]


def wrong(schema, found):
    """What of an answer does not fit its schema, a line for each."""
    validator = Draft202012Validator({**schema, "components": DESCRIBED["components"]})
    return [f"{one.json_path}: {one.message[:200]}" for one in validator.iter_errors(found)]


READ = [one for one in routes.OPERATIONS if one.method == "GET" and one.answers[200].media == "application/json"]


@pytest.mark.parametrize("operation", READ, ids=lambda o: o.name)
def test_an_answer_is_as_described(site, operation):
    schema = operation.answers[200].schema
    for path in asked(operation):
        answer = site.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert not wrong(schema, answer.json()), path
        if not (operation.role or "valid" in path or "quarantined" in path):
            assert not wrong(schema, site.get(path, headers={}).json()), path
    if operation.name not in ("readDescription", "readDocument"):
        assert any(holds_something(site.get(path).json()) for path in asked(operation))


def holds_something(found):
    """Whether no list of an answer is empty all over: what is not there is not compared."""
    lists = [found] if isinstance(found, list) else [one for one in found.values() if isinstance(one, list)]
    return any(lists) or not lists


def test_what_only_some_see_is_described_too(site):
    assert site.get("/results/{published}").json()["uploaded_by"] == "Ada"
    assert "uploaded_by" not in site.get("/results/{published}", headers={}).json()


@pytest.mark.parametrize(("path", "status"), [("/results/{valid}", 404), ("/results?page=0", 400), ("/account", 401)])
def test_a_problem_is_as_described(site, path, status):
    answer = site.get(path, headers={})
    assert answer.status_code == status
    assert not wrong({"$ref": "#/components/schemas/Problem"}, answer.json())


def objects(schema, where):
    """Every object schema inside a schema, with where it stands. ``Result`` is the result format's, not the API's."""
    if isinstance(schema, list):
        for number, one in enumerate(schema):
            yield from objects(one, f"{where}/{number}")
    elif isinstance(schema, dict):
        if schema.get("type") == "object":
            yield where, schema
        for key, one in schema.items():
            if key not in ("example", "Result"):
                yield from objects(one, f"{where}/{key}")


def test_no_object_of_an_answer_may_hold_what_is_not_described():
    answers = {
        f"{one.name}/{status}": answer.schema for one in routes.OPERATIONS for status, answer in one.answers.items()
    }
    found = list(objects({**answers, **DESCRIBED["components"]["schemas"]}, ""))
    assert len(found) > 40
    for where, schema in found:
        assert "additionalProperties" in schema, where
        if schema["additionalProperties"] is False:
            assert set(schema["properties"]) - set(schema["required"]) <= OPTIONAL, where


@pytest.mark.parametrize(
    ("name", "path"), [("listClaims", "claims"), ("readRanking", "contests"), ("listResults", "results")]
)
def test_a_field_too_many_or_missing_is_seen(site, name, path):
    operation = next(one for one in routes.OPERATIONS if one.name == name)
    schema, found = operation.answers[200].schema, site.get(operation.path).json()
    assert wrong(schema, {**found, "more": 1})
    for field in found:
        assert wrong(schema, {key: value for key, value in found.items() if key != field}), field
    first, *rest = found[path]
    assert wrong(schema, {**found, path: [{**first, "more": 1}, *rest]})
    for field in first:
        assert wrong(schema, {**found, path: [{k: v for k, v in first.items() if k != field}, *rest]}), field
