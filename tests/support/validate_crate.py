"""Validates a crate with roc-validator, offline. Run by test_crate.py in an environment that holds the validator only.

    python validate_crate.py CRATE-FOLDER CONTEXT-FILE SCRATCH-FOLDER SEVERITY

The validator takes the JSON-LD context from its HTTP cache, which is filled here from a file: nothing is fetched.
Prints one line for each issue; exits 1 if there are any.
"""

import sys
from pathlib import Path

import requests
import requests_cache
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


def fill(cache: Path, context: Path) -> None:
    """Put the context into the cache as the answer to its address."""
    response = requests.Response()
    response.status_code = 200
    response.url = CONTEXT
    response.headers["Content-Type"] = "application/ld+json"
    response._content = context.read_bytes()
    response.request = requests.Request("GET", CONTEXT).prepare()
    response.raw = requests_cache.models.CachedHTTPResponse(body=response._content, status=200)
    session = requests_cache.CachedSession(str(cache), backend="sqlite", expire_after=-1)
    session.cache.save_response(response)
    session.close()


def main() -> int:
    crate, context, scratch, severity = sys.argv[1:]
    cache = Path(scratch) / "http cache"
    fill(cache, Path(context))
    result = services.validate(
        ValidationSettings(
            rocrate_uri=crate,
            profile_identifier="process-run-crate",
            requirement_severity=Severity[severity],
            cache_path=cache,
            offline=True,
            skip_availability_check=True,
        )
    )
    issues = result.get_issues(Severity[severity])
    for issue in issues:
        print(issue.severity.name, issue.check.identifier, issue.message, issue.violatingEntity)
    return 1 if issues or not result.passed(Severity[severity]) else 0


if __name__ == "__main__":
    sys.exit(main())
