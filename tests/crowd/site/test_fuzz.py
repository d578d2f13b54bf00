"""The API against its own description: schemathesis makes requests that fit it and requests that do not.

The same requests every time (nothing is drawn at random, nothing is kept between runs), so that what fails here fails
everywhere. Ids are those of results that are there, so that what lies behind them is reached, too.
"""

import copy
import itertools

import pytest

schemathesis = pytest.importorskip("schemathesis")
pytestmark = pytest.mark.real  # it takes its time
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from ie_crowd.site.api import endpoint, openapi  # noqa: E402
from ie_crowd.site.api.routes import OPERATIONS  # noqa: E402
from ie_crowd.site.middleware import counter  # noqa: E402
from ie_crowd.site.middleware import guard as site_guard  # noqa: E402
from ie_crowd.store import database, insert  # noqa: E402
from ie_crowd.store.people import accounts, comments  # noqa: E402
from schemathesis import GenerationMode, checks  # noqa: E402
from schemathesis.core.failures import FailureGroup  # noqa: E402
from sites import client  # noqa: E402
from toy_challenge.documents import text, toy  # noqa: E402
from toy_challenge.make import RULES  # noqa: E402

EXAMPLES = 8  # of each operation and kind
MOST_BORDERS = 80  # of each operation


def never(guard, scope):
    """Nobody asks too often here."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The site over a small store: client, ids, and what an operator sends as headers."""
    engine = database.connect(tmp_path_factory.mktemp("fuzz") / "store.sqlite3")
    by = {RULES.id: RULES}
    documents = [
        toy((7.0, 8.0, 9.0), submitter="Cyd"),  # is withdrawn
        toy((1.0, 2.0, 3.0), submitter="Ada"),
        toy((4.0, 5.0, 6.5), submitter="Bob", machine=1),
    ]
    for document in documents:
        insert.submit(engine, text(document), publish=True, challenges=by)
    held = toy((1.0, 2.0, 3.0), submitter="Eve")
    insert.submit(engine, text(held), publish=True, challenges=by)
    token = accounts.add(engine, "Op", "operator")
    comments.comment(engine, next(iter(accounts.accounts(engine))), "a comment", documents[1]["id"])
    with pytest.MonkeyPatch.context() as patch, client(engine) as one:
        for name in ("UPLOADS", "WORDS"):
            patch.setattr(endpoint, name, (10**9, 3600))
        one.app.state.wrong_tokens = counter.Counter(10**9, 3600)
        patch.setattr(site_guard.Guard, "_too_often", never)
        one.ids = [document["id"] for document in (*documents, held)]
        one.operator = {"Authorization": f"Bearer {token}"}
        yield one
    engine.dispose()


@pytest.fixture(scope="module")
def schema(served):
    described = copy.deepcopy(openapi.document(OPERATIONS))
    for methods in described["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["name"] in ("id", "a", "b"):
                    ids = served.ids[:1] if operation["operationId"] == "withdrawResult" else served.ids[1:]
                    parameter["schema"] = {"type": "string", "enum": ids}
                    parameter.pop("example", None)
    loaded = schemathesis.openapi.from_dict(described)
    loaded.app = served.app
    # a request of the right form may ask for what is not there, is gone, or cannot be
    loaded.config.checks.positive_data_acceptance.expected_statuses = [
        *("2xx", "403", "404", "409", "410", "414", "422"),
    ]
    loaded.config.checks.negative_data_rejection.expected_statuses = [
        *("400", "401", "403", "404", "405", "413", "414", "415", "422"),
    ]
    return loaded


MADE = [
    pytest.param(operation, mode, id=f"{mode.value} {operation.name}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode.is_positive or operation.parameters or operation.body
]


def ask(case, operation, served):
    """One request, and every check of schemathesis on its answer."""
    # what fits the schema may still be a table without the parameters it needs, or text that no result may hold
    left_out = [checks.positive_data_acceptance] if operation.name in ("exportTable", "submitResult") else []
    case.call_and_validate(base_url="http://localhost/api/v1", headers=served.operator, excluded_checks=left_out)


@pytest.mark.parametrize(("operation", "mode"), MADE)
def test_made_up_requests(schema, served, operation, mode):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(case=schema[operation.path][operation.method].as_strategy(generation_mode=mode))
    def each(case):
        ask(case, operation, served)

    each()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_border_of_the_description(schema, served, operation):
    cases = schema.iter_coverage_cases(
        schema[operation.path][operation.method],
        generation_modes=list(GenerationMode),
        generation_config=schema.config.generation,
    )
    asked = [ask(case, operation, served) for case in itertools.islice(cases, MOST_BORDERS)]
    assert asked


def test_a_check_that_fails_is_seen(served):
    """A description that lies about one answer is found out."""
    described = copy.deepcopy(openapi.document(OPERATIONS))
    described["components"]["schemas"]["Problem"]["properties"]["status"] = {"type": "string"}
    loaded = schemathesis.openapi.from_dict(described)
    loaded.app = served.app
    case = loaded["/ranking"]["GET"].Case(query={"metric": "no.such"})
    with pytest.raises(FailureGroup) as caught:
        ask(case, OPERATIONS[0], served)
    assert "status" in str(caught.value.exceptions[0])
