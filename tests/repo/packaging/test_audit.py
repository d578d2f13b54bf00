"""`.ci/audit`: a stored list of advisories, served to pip-audit as OSV does. The advisories here are made up."""

import http.server
import json
import os
import runpy
import subprocess
import sys
import threading

import pytest
from paths import ROOT

AUDIT = runpy.run_path(str(ROOT / ".ci" / "audit"))
PINS = {name: version for name, (version, _) in runpy.run_path(str(ROOT / ".ci" / "sbom"))["pins"]().items()}
STORED = json.loads((ROOT / ".ci" / "advisories.json").read_text(encoding="utf-8"))
# stands where pip-audit would: it asks as pip-audit 2.10 does, of each line of the file that it is given
STAND_IN = """
import json, sys, urllib.request
[url] = [word.partition("=")[2] for word in sys.argv if word.startswith("--osv-url=")]
found = []
for line in open(sys.argv[-1]):
    name, _, version = line.strip().partition("==")
    asked = {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
    answer = json.load(urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode())))
    found += [f"{name} {one['id']}" for one in answer.get("vulns", ())]
print(found)
sys.exit(bool(found))
"""


def advisory(*events, versions=(), **more):
    span = {"type": "ECOSYSTEM", "events": list(events)}
    affected = {"package": {"name": "made-up", "ecosystem": "PyPI"}, "ranges": [span], "versions": list(versions)}
    return {"id": "MADE-UP-1", "affected": [affected], **more}


@pytest.mark.parametrize(
    ("made", "hit", "missed"),
    [
        (advisory({"introduced": "0"}, {"fixed": "2.0"}), ["1.9.9", "2.0rc1"], ["2.0", "10.0"]),
        (advisory({"introduced": "1.5"}, {"last_affected": "2.0"}), ["1.5", "2.0"], ["1.4", "2.0.1"]),
        (advisory({"introduced": "0"}), ["1", "99"], []),
        (
            advisory({"introduced": "3"}, {"fixed": "1.1"}, {"introduced": "0"}, {"fixed": "3.2"}),
            ["1.0", "3.1"],
            ["1.1", "2.9", "3.2"],
        ),
        (advisory(versions=["1.0", "not a version"]), ["1.0", "1.0.0"], ["1.1"]),
        (advisory({"introduced": "0"}) | {"affected": []}, [], ["1"]),
    ],
)
def test_which_versions_an_advisory_is_about(made, hit, missed):
    for version in [*hit, *missed]:
        assert AUDIT["affects"](made, "made-up", version) is (version in hit), version
        assert not AUDIT["affects"](made, "another", version)


def test_what_is_stored_names_a_source_and_is_about_no_pin():
    assert STORED["from"]
    assert STORED["as_of"]
    for name, advisories in STORED["packages"].items():
        assert name in PINS
        assert all(one["id"] and one["affected"] for one in advisories)
        assert AUDIT["known"](STORED["packages"], name, PINS[name]) == []
    assert AUDIT["known"](STORED["packages"], "torch", "1.13.0"), "and about what it is about"


@pytest.fixture
def audit(tmp_path):
    """Runs `.ci/audit` with what stands in for pip-audit, and a list that has nothing but what is given of any pin."""
    (tmp_path / "pip_audit.py").write_text(STAND_IN, encoding="utf-8")
    path = tmp_path / "list.json"

    def run(*arguments, **packages):
        held = {"from": "a test", "as_of": "2026-01-01", "packages": {name: [] for name in PINS} | packages}
        path.write_text(json.dumps(held), encoding="utf-8")
        argv = [sys.executable, ROOT / ".ci" / "audit", f"--list={path}", *arguments]
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True)

    run.path = path
    return run


def about(name, *events, **more):
    made = advisory(*events, **more)
    made["affected"][0]["package"]["name"] = name
    return made


def test_a_pin_that_an_advisory_is_about_is_found_from_the_stored_list(audit):
    done = audit()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"0 advisories about {len(PINS)} of {len(PINS)} pins, as of 2026-01-01: a test" in done.stdout
    hit = about("torch", {"introduced": "0"}, {"fixed": "9999"})
    done = audit(torch=[hit, hit | {"id": "MADE-UP-2", "withdrawn": "2026-01-01T00:00:00Z"}])
    assert done.returncode == 1
    assert "['torch MADE-UP-1']" in done.stdout
    assert audit(torch=[about("torch", {"introduced": "0"}, {"fixed": PINS["torch"]})]).returncode == 0


@pytest.mark.parametrize(("hits", "code"), [([], 2), ([about("scipy", {"introduced": "0"})], 1)])
def test_a_pin_of_which_the_list_says_nothing_is_no_answer(audit, hits, code):
    audit()
    held = {"from": "a test", "as_of": "2026-01-01", "packages": {name: [] for name in PINS if name != "torch"}}
    held["packages"]["scipy"] = hits
    audit.path.write_text(json.dumps(held), encoding="utf-8")
    argv = [sys.executable, ROOT / ".ci" / "audit", f"--list={audit.path}"]
    environment = os.environ | {"PYTHONPATH": str(audit.path.parent)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr == "audit: list.json says nothing of torch; where there is a network: .ci/audit --fetch\n"


@pytest.fixture
def osv():
    """A server that answers as OSV does, two pages about torch and nothing of others; its address, and a switch."""
    state = {"works": True}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            page = {}
            if asked["package"]["name"] == "torch" and "page_token" not in asked:
                page = {"vulns": [about("torch", {"introduced": "0"}, details="long")], "next_page_token": "2"}
            elif asked["package"]["name"] == "torch":
                page = {"vulns": [about("torch", {"introduced": "1"}) | {"id": "MADE-UP-0"}]}
            self.send_response(200 if state["works"] else 503)
            self.end_headers()
            self.wfile.write(json.dumps(page).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query", state
        server.shutdown()


def test_the_list_is_fetched_whole_or_left_as_it_was(audit, osv):
    url, state = osv
    done = audit("--fetch", f"--osv-url={url}")
    assert done.returncode == 0, done.stderr
    held = json.loads(audit.path.read_text(encoding="utf-8"))
    assert set(held["packages"]) == set(PINS)
    assert [one["id"] for one in held["packages"]["torch"]] == ["MADE-UP-0", "MADE-UP-1"]
    assert "details" not in held["packages"]["torch"][1]
    assert url in held["from"]
    state["works"] = False
    done = audit("--fetch", f"--osv-url={url}")
    assert done.returncode == 2
    assert done.stderr.endswith("list.json is as it was\n")
    assert done.stderr.count("\n") == 1
    assert json.loads(audit.path.read_text(encoding="utf-8"))["from"] == "a test"


def test_the_real_pip_audit_reads_it(audit):
    pytest.importorskip("pip_audit", reason="pip-audit is not installed (pip install pip-audit)")
    audit()
    held = json.loads(audit.path.read_text(encoding="utf-8"))
    argv = [sys.executable, ROOT / ".ci" / "audit", f"--list={audit.path}"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    held["packages"]["torch"] = [about("torch", {"introduced": "0"}, {"fixed": "9999"})]
    audit.path.write_text(json.dumps(held), encoding="utf-8")
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1
    assert "MADE-UP-1" in done.stdout
    assert "9999" in done.stdout
