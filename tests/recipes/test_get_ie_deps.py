"""The pins, the choice of torch's build, and the refusals; pip is a stand-in, so nothing is installed."""

import ast
import contextlib
import importlib.metadata
import os
import runpy
import subprocess
import sys
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ie_recipes import install, setup
from paths import RECIPES, ROOT

NORMAL = "the normal index"
CPU_INDEX = f"{install.PYTORCH_INDEX}/cpu"


class Pip:
    """Stands in for pip: notes (packages, index) and "installs" what `works` allows."""

    def __init__(self, there: dict[str, str], works=lambda index: True) -> None:
        self.there, self.works, self.calls, self.said = dict(there), works, [], []

    def __call__(self, packages, quiet, say, index=None) -> int:
        self.calls.append((packages, index or NORMAL))
        if not self.works(index):
            return 1
        label = "+cpu" if index == CPU_INDEX else ""
        for package in packages:
            name, version = package.split("==")
            self.there[name] = version + (label if name in install.TORCH else "")
        return 0


@pytest.fixture
def pip(monkeypatch):
    """A virtual environment that lacks torch only; pip has no index of its own, and PyTorch's does not answer."""
    stand_in = Pip({name: pin for name, pin in install.pins().items() if name not in install.TORCH})
    monkeypatch.setattr(install, "installed", lambda name: stand_in.there.get(name))
    monkeypatch.setattr(install, "_pip", stand_in)
    monkeypatch.setattr(install, "own_index", lambda: "")
    monkeypatch.setattr(install, "fetch_listing", lambda url: None)
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install.sys, "prefix", str(ROOT / "no such venv"))
    return stand_in


def ensure(pip: Pip, kind="cpu", **more) -> install.Outcome:
    return install.ensure(kind, say=pip.said.append, **more)


TORCH = [f"{name}=={install.pins()[name]}" for name in install.TORCH]


# The pins


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_pins_are_read_as_pip_reads_them(version):
    requirements = pytest.importorskip("packaging.requirements")
    expected = {}
    for line in install.REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line.split("#")[0].strip():
            one = requirements.Requirement(line)
            python = f"{version[0]}.{version[1]}"
            if one.marker is None or one.marker.evaluate({"python_version": python}):
                assert one.name not in expected
                (specifier,) = one.specifier
                assert specifier.operator == "=="
                expected[one.name] = specifier.version
    assert install.pins(version=version) == expected
    assert set(expected) >= {
        "torch", "torchvision", "numpy", "scipy", "pyyaml", "jsonschema", "psutil", "rich", "filelock", "safetensors",
        "matplotlib",
    }  # fmt: skip


def test_a_line_that_is_no_exact_pin_is_refused(tmp_path):
    for line in ("torch>=2", "torch", "-r other.txt", "torch==2 ; sys_platform == 'x'", "--index-url=x"):
        (tmp_path / "r.txt").write_text(line)
        with pytest.raises(AssertionError, match="no exact pin"):
            install.pins(tmp_path / "r.txt")


def test_the_test_extra_has_the_same_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {line.replace("'", '"') for line in project["optional-dependencies"]["test"]}
    lines = (ROOT / "script/get-ie-deps/requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    assert set(TORCH) <= pins
    assert pins <= extra
    site = install.pins(ROOT / "script/get-ie-deps/requirements-site.txt")
    assert {f"{name}=={version}" for name, version in site.items()} <= extra
    assert set(site) == {line.split(">=")[0] for line in project["optional-dependencies"]["site"]}
    for name, file in (("sweep", install.SWEEP), ("search", install.SEARCH)):
        more = install.pins(file)
        assert {f"{package}=={version}" for package, version in more.items()} <= extra
        assert set(more) == {line.split(">=")[0] for line in project["optional-dependencies"][name]}
    search = install.pins(install.SEARCH)
    assert {name: site[name] for name in site.keys() & search.keys()} == {
        name: search[name] for name in site.keys() & search.keys()
    }, "a search and a site in one environment do not replace one another's packages"


def test_this_environment_is_judged_as_it_is():
    wanted = install.pins()
    for name in install.missing(wanted):
        assert (install.installed(name) or "none").split("+")[0] != wanted[name]
    assert install.installed("pytest") == importlib.metadata.version("pytest")
    assert install.installed("no-such-package-at-all") is None


def test_one_python_is_promised_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == ">=3.11"
    assert (project["tool"]["ruff"]["target-version"], project["tool"]["mypy"]["python_version"]) == ("py311", "3.11")
    assert "Python 3.11 or newer" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_an_older_python_is_refused_in_one_line_before_anything_it_cannot_run(monkeypatch, capsys):
    # every customize.py imports this package, and its first import refuses
    package = RECIPES / "ie_recipes" / "__init__.py"
    for file in (package, *RECIPES.glob("*/customize.py")):
        ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 8))
    imports = [node for node in ast.parse(package.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    assert [(node.module, node.names[0].name) for node in imports] == [("ie_recipes", "minimum_python")]
    path = RECIPES / "ie_recipes" / "minimum_python.py"
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path))
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Python 3.11 or newer is needed" in line


# What is installed


def test_nothing_is_done_when_nothing_is_missing(pip, monkeypatch):
    pip.there.update(install.pins())

    def never(*_):
        raise AssertionError("asked")

    for name in ("own_index", "fetch_listing", "_pip", "refuse_system_python"):
        monkeypatch.setattr(install, name, never)
    for kind in install.KINDS:
        assert ensure(pip, kind) == (0, False)
    assert pip.said == []


def test_only_what_is_missing_is_installed(pip):
    pip.there.update({"torch": install.pins()["torch"], "torchvision": install.pins()["torchvision"]})
    pip.there["numpy"] = "1.0.0"
    del pip.there["rich"]
    assert ensure(pip) == (0, True)
    pins = install.pins()
    assert pip.calls == [([f"numpy=={pins['numpy']}", f"rich=={pins['rich']}"], NORMAL)]
    assert f"numpy 1.0.0 is replaced by the pinned {pins['numpy']}" in pip.said


def test_any_build_of_the_pinned_torch_is_kept(pip):
    pins = install.pins()
    for build in ("", "+cpu", "+cu130", "+rocm7.0"):
        pip.there.update({name: pins[name] + build for name in install.TORCH})
        for kind in install.KINDS:
            pip.said.clear()
            assert ensure(pip, kind) == (0, False)
            remarked = any("build for the CPU only" in line and "pip uninstall" in line for line in pip.said)
            assert remarked == (build == "+cpu" and kind in ("cuda", "rocm"))
    pip.there["torch"] = pins["torch"] + "0"  # another version, not another build
    assert ensure(pip)[1]


# Torch's build


def test_the_cpu_index_where_it_answers(pip, monkeypatch):
    asked = []
    monkeypatch.setattr(install, "fetch_listing", lambda url: asked.append(url) or "<html>")
    assert ensure(pip) == (0, True)
    assert asked == [f"{CPU_INDEX}/torch/"]
    assert pip.calls == [(TORCH, CPU_INDEX)]


def test_the_normal_index_where_it_does_not_answer_and_a_line_that_says_so(pip):
    assert ensure(pip) == (0, True)
    assert pip.calls == [(TORCH, NORMAL)]
    assert any("gave no answer" in line and "normal index" in line for line in pip.said)


def test_the_normal_index_where_the_cpu_index_lets_down(pip, monkeypatch):
    monkeypatch.setattr(install, "fetch_listing", lambda url: "<html>")
    pip.works = lambda index: index != CPU_INDEX
    assert ensure(pip) == (0, True)
    assert [index for _, index in pip.calls] == [CPU_INDEX, NORMAL]


def test_an_index_of_the_users_is_never_left(pip, monkeypatch):
    monkeypatch.setattr(install, "own_index", lambda: "index-url")

    def never(url):
        raise AssertionError(f"{url} was asked")

    monkeypatch.setattr(install, "fetch_listing", never)
    assert ensure(pip) == (0, True)
    assert pip.calls == [(TORCH, NORMAL)]
    assert any("index of its own (index-url)" in line for line in pip.said)
    for name in install.TORCH:
        del pip.there[name]
    with pytest.raises(ValueError, match=r"not overridden.*--device=cpu"):
        ensure(pip, "rocm")


@pytest.mark.parametrize(("kind", "system"), [("cuda", "Linux"), ("mps", "Darwin"), ("cpu", "Darwin")])
def test_the_normal_index_holds_the_build(pip, monkeypatch, kind, system):
    monkeypatch.setattr(install.platform, "system", lambda: system)
    assert ensure(pip, kind) == (0, True)
    assert pip.calls == [(TORCH, NORMAL)]
    assert pip.said == []


def listing(*wheels: str) -> str:
    return "".join(f'<a href="/whl/{wheel}">{wheel}</a>\n' for wheel in wheels)


def test_rocm_and_cuda_on_windows_find_their_folder(pip, monkeypatch):
    pin, py = install.pins()["torch"], f"cp{sys.version_info[0]}{sys.version_info[1]}"
    page = listing(
        f"rocm6.4/torch-{pin}%2Brocm6.4-{py}-{py}-manylinux_2_28_x86_64.whl",
        f"rocm6.10/torch-{pin}%2Brocm6.10-{py}-{py}-manylinux_2_28_x86_64.whl",
        f"rocm9/torch-0.0.1%2Brocm9-{py}-{py}-manylinux_2_28_x86_64.whl",
        f"rocm8/torch-{pin}%2Brocm8-cp27-cp27-manylinux_2_28_x86_64.whl",
        f"cu130/torch-{pin}%2Bcu130-{py}-{py}-win_amd64.whl",
        f"cu999/torch-{pin}%2Bcu999-{py}-{py}-manylinux_2_28_x86_64.whl",
        f"evil/torch-{pin}%2Brocm../../evil-{py}-{py}-linux.whl",
    )
    monkeypatch.setattr(install, "fetch_listing", lambda url: page)
    assert ensure(pip, "rocm") == (0, True)
    assert pip.calls == [(TORCH, f"{install.PYTORCH_INDEX}/rocm6.10")]
    for name in install.TORCH:
        del pip.there[name]
    monkeypatch.setattr(install.platform, "system", lambda: "Windows")
    assert ensure(pip, "cuda") == (0, True)
    assert pip.calls[1] == (TORCH, f"{install.PYTORCH_INDEX}/cu130")


@pytest.mark.parametrize(("page", "says"), [(None, "gave no answer"), ("<html>", "lists no such build")])
def test_rocm_without_a_build_is_one_line(pip, monkeypatch, page, says):
    monkeypatch.setattr(install, "fetch_listing", lambda url: page)
    with pytest.raises(ValueError, match=says) as caught:
        ensure(pip, "rocm")
    assert "\n" not in str(caught.value)
    assert pip.calls == []


# What goes wrong


def test_pip_that_fails_is_one_line(pip):
    pip.works = lambda index: False
    with pytest.raises(ValueError, match="pip ended with code 1"):
        ensure(pip)


def test_an_interruption_keeps_its_code(pip, monkeypatch):
    monkeypatch.setattr(install, "fetch_listing", lambda url: "<html>")
    for code in (130, 143):
        monkeypatch.setattr(install, "_pip", lambda *_, code=code, **__: code)
        assert ensure(pip).code == code  # and the normal index is not tried after it


def test_pip_that_claims_success_is_not_believed(pip, monkeypatch):
    monkeypatch.setattr(install, "_pip", lambda *_, **__: 0)
    with pytest.raises(ValueError, match="torch, torchvision is not at its pinned version"):
        ensure(pip)


def test_outside_a_virtual_environment_nothing_is_installed(pip, monkeypatch, tmp_path):
    monkeypatch.setattr(install.sys, "prefix", sys.base_prefix)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    with pytest.raises(ValueError, match=r"not in a virtual environment.*-m venv.*--allow-system-python") as caught:
        ensure(pip)
    assert "\n" not in str(caught.value)
    assert pip.calls == []
    install.refuse_system_python(True)
    # conda: whether or not it is activated
    monkeypatch.setattr(install.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(install.sys, "base_prefix", str(tmp_path))
    for active in (None, str(tmp_path), str(tmp_path / "other")):
        monkeypatch.delenv("CONDA_PREFIX", raising=False)
        if active is not None:
            monkeypatch.setenv("CONDA_PREFIX", active)
        with pytest.raises(ValueError, match="virtual environment"):
            install.refuse_system_python(False)
        (tmp_path / "conda-meta").mkdir()
        install.refuse_system_python(False)
        (tmp_path / "conda-meta").rmdir()


def test_a_python_without_ctypes_is_told_before_torch_is_fetched(pip, monkeypatch):
    real = install.importlib.util.find_spec
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None if name == "_ctypes" else real(name))
    with pytest.raises(ValueError, match=r"without _ctypes.*libffi-dev") as caught:
        ensure(pip)
    assert "\n" not in str(caught.value)
    assert pip.calls == []


def test_without_pip_the_message_says_what_to_do(pip, monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"has no pip.*ensurepip.*uv pip install -r"):
        ensure(pip)


def test_an_unknown_device_lists_the_known(pip):
    with pytest.raises(ValueError, match=r"'gpu'.*cpu, cuda, rocm, mps"):
        ensure(pip, "gpu")


# The real pip's command line, its configuration, an index page


def test_the_command_of_pip(monkeypatch):
    seen = {}
    monkeypatch.setattr(install.processes, "run", lambda argv, **more: seen.update(argv=argv, **more) or 0)
    hostile = "torch==2;`$(x) '"
    assert install._pip([hostile], True, lambda line: None, index="https://x/") == 0
    assert seen["argv"][:5] == [sys.executable, "-P", "-m", "pip", "install"]
    assert seen["argv"][-1] == hostile
    assert {"--quiet", "--index-url=https://x/", "--no-input"} <= set(seen["argv"])
    assert not [one for one in seen["argv"] if "break-system" in one or "sudo" in one or "user" in one]
    assert seen["cwd"] == install.HERE  # a pip.py in the user's folder would be run
    source = Path(install.__file__).read_text(encoding="utf-8")
    assert "break-system-packages" not in source.split('"""', 2)[2]


def test_pip_that_installs_for_the_user_alone_installs_into_the_environment(tmp_path, monkeypatch):
    """The real pip in this virtual environment, which refuses `user = true` of a configuration."""
    (tmp_path / "pip.conf").write_text("[install]\nuser = true\nno-index = true\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_USER", "1")
    assert install._pip([f"pyyaml=={install.installed('pyyaml')}"], True, lambda line: None) == 0


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("", ""),
        ("[global]\ntimeout = 5\n", ""),
        ("[global]\nindex-url = https://pypi.org/simple/\n", ""),
        ("[global]\nindex-url = https://user:secret@mirror.example/simple\n", "index-url"),
        ("[install]\nextra-index-url = https://a.example\n    https://b.example\n", "extra-index-url"),
        ("[global]\nno-index = true\nfind-links = /wheels\n", "find-links, no-index"),
        ("[global]\nno-index = false\n", ""),
    ],
)
def test_settings_of_pip(tmp_path, monkeypatch, config, names):
    if "pip" not in {name.lower() for name in importlib.metadata.packages_distributions()}:
        pytest.skip("this environment has no pip")
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    file = tmp_path / "pip.conf"
    file.write_text(config)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))  # loaded last; other files may hold an index as well
    machines_own = _names_without(monkeypatch)
    assert set(filter(None, names.split(", "))) | machines_own == set(filter(None, install.own_index().split(", ")))
    assert "secret" not in install.own_index()


def _names_without(monkeypatch) -> set[str]:
    """The settings that this machine has besides the test's own file."""
    with monkeypatch.context() as patch:
        patch.setenv("PIP_CONFIG_FILE", os.devnull + "x")
        return set(filter(None, install.own_index().split(", ")))


def test_environment_variables_of_pip_count(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    assert "index-url" in install.own_index().split(", ")


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow":
                time.sleep(2)
            self.send_response(404 if self.path == "/missing" else 200)
            with contextlib.suppress(OSError):  # the client hung up
                self.end_headers()
                self.wfile.write(b"a page")

        def log_message(self, *_):
            pass

    one = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.daemon_threads = True
    threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{one.server_address[1]}"
    one.shutdown()
    one.server_close()


def test_an_index_page(server, monkeypatch):
    monkeypatch.setattr(install, "INDEX_SECONDS", 0.5)
    assert install.fetch_listing(f"{server}/") == "a page"
    assert install.fetch_listing(f"{server}/missing") is None
    assert install.fetch_listing("http://127.0.0.1:1/") is None
    began = time.monotonic()
    assert install.fetch_listing(f"{server}/slow") is None
    assert time.monotonic() - began < 1.5


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX files")
def test_two_at_once_take_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(install.sys, "prefix", str(tmp_path))
    order: list[str] = []

    def work(name: str) -> None:
        with install._one_at_a_time(order.append):
            order.append(f"{name} begins")
            time.sleep(0.2)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns = [line[0] for line in order if line.endswith(("begins", "ends"))]
    assert turns in (list("aabb"), list("bbaa"))
    assert any("waiting" in line for line in order)


def test_the_check_is_fast_and_imports_nothing_heavy():
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from ie_recipes import install\n"
        "began = time.perf_counter(); install.missing(install.pins()); print(time.perf_counter() - began)\n"
        "assert not {'torch', 'numpy', 'pip'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(RECIPES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.0  # 0.01 s on an idle machine


# The recipes' own helper


def call(raw: dict, mapping: dict) -> dict:
    return setup.check({"input": {"action": "run", "tags": "x", **raw}, "meta": {"input_mapping": mapping}})


def test_flags_of_the_small_recipes():
    mapping = {"device": "CM_IE_DEVICE_REQUEST", "allow_system_python": "A", "quiet": "CM_IE_QUIET"}
    assert call({"device": "cpu", "quiet": True, "allow_system_python": True}, mapping) == {"return": 0}
    assert call({}, {})["return"] == 0
    for raw, says in [
        ({"devise": "cpu"}, "unknown flag --devise: did you mean --device"),
        ({"allow_system": True}, "did you mean --allow-system-python"),
        ({"device": True}, "the value is missing"),
        ({"device": ""}, "the value is missing"),
        ({"device": True, "artifacts": ["cpu"]}, "'cpu' is one word too many"),
    ]:
        answer = call(raw, mapping)
        assert answer["return"] == 2
        assert says in answer["error"]
        assert call({**raw, "recursion": True}, mapping) == {"return": 0}  # a dependency sees CM's own keys only


def test_device_asked_for():
    assert setup.request({}) == "auto"
    assert setup.request({"CM_IE_DEVICE_VARIATION": "cuda"}) == "cuda"
    assert setup.request({"CM_IE_DEVICE_REQUEST": "mps", "CM_IE_DEVICE_VARIATION": "auto"}) == "mps"
    assert setup.request({"CM_IE_DEVICE_REQUEST": "cpu", "CM_IE_DEVICE_VARIATION": "cpu"}) == "cpu"
    with pytest.raises(ValueError, match="--device=cpu contradicts the variation _cuda"):
        setup.request({"CM_IE_DEVICE_REQUEST": "cpu", "CM_IE_DEVICE_VARIATION": "cuda"})


def test_device_keys_are_those_of_the_recipes():
    yaml = pytest.importorskip("yaml")
    env: dict = {}
    setup.set_device(env, "cpu")
    assert env["CM_IE_DEVICE"] == "cpu"
    assert env["CM_IE_DEVICE_MEMORY_BYTES"] == ""
    assert all(isinstance(value, str) for value in env.values())
    for name in ("detect-ie-device", "get-ie-deps"):
        meta = yaml.safe_load((ROOT / "script" / name / "_cm.yaml").read_text(encoding="utf-8"))
        assert sorted(meta["new_env_keys"]) == sorted(env)


def test_switches():
    assert setup.switch({"A": True}, "A")
    assert setup.switch({"A": "yes"}, "A")
    assert not setup.switch({}, "A")
    with pytest.raises(ValueError, match="A=maybe"):
        setup.switch({"A": "maybe"}, "A")


# What serves results


def test_a_site_needs_no_torch(pip):
    for name in install.of_a_site():
        pip.there.pop(name, None)
    assert install.ensure("cpu", site=True, allow_system_python=True, say=pip.said.append) == install.Outcome(0, True)
    ((packages, index),) = pip.calls
    assert index == NORMAL
    names = {package.split("==")[0] for package in packages}
    assert {"starlette", "uvicorn", "sqlalchemy", "jinja2"} <= names
    assert not names & {"torch", "torchvision", "matplotlib", "safetensors"}
    assert install.ensure("cpu", site=True, say=pip.said.append) == install.Outcome(0, False)


def test_a_sweep_on_many_machines_needs_more_and_only_there(pip):
    pip.there |= {name: f"{pin}+cpu" for name, pin in install.pins().items() if name in install.TORCH}
    assert install.ensure("cpu", say=pip.said.append) == install.Outcome(0, False)
    assert install.ensure("cpu", sweep=True, allow_system_python=True, say=pip.said.append) == install.Outcome(0, True)
    ((packages, index),) = pip.calls
    assert (packages, index) == ([f"{name}=={pin}" for name, pin in install.pins(install.SWEEP).items()], NORMAL)
    assert install.ensure("cpu", sweep=True, say=pip.said.append) == install.Outcome(0, False)


def test_a_search_needs_more_and_only_there(pip):
    pip.there |= {name: f"{pin}+cpu" for name, pin in install.pins().items() if name in install.TORCH}
    assert install.ensure("cpu", search=True, allow_system_python=True, say=pip.said.append) == install.Outcome(0, True)
    ((packages, _),) = pip.calls
    assert packages == [f"{name}=={pin}" for name, pin in install.pins(install.SEARCH).items()]


# The build for CUDA that the driver and the GPU can run


def wheels(*labels: str) -> str:
    pin, py = install.pins()["torch"], f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return listing(*(f"{one}/torch-{pin}%2B{one}-{py}-{py}-manylinux_2_28_x86_64.whl" for one in labels))


@pytest.mark.parametrize(
    ("driver", "capability", "build"),
    [
        ("535.104.05", "8.0", "cu128"),
        ("535.104.05", "6.1", "cu126"),
        ("580.95", "7.0", "cu128"),
        ("580.95", "5.2", "cu126"),
        (None, "6.0", "cu126"),
        ("550.1", None, "cu128"),
    ],
)
def test_the_newest_build_for_cuda_that_fits(pip, monkeypatch, driver, capability, build):
    monkeypatch.setattr(install, "fetch_listing", lambda url: wheels("cu126", "cu128", "cu130"))
    assert ensure(pip, "cuda", gpu=install.Gpu(driver, capability)) == (0, True)
    assert pip.calls == [(TORCH, f"{install.PYTORCH_INDEX}/{build}")]
    assert any(f"torch's build {build}, the newest that fits: " in line for line in pip.said)


@pytest.mark.parametrize(
    ("driver", "capability"), [("580.95", "7.5"), ("595.1", "12.0"), (None, None), ("580.95", None)]
)
def test_the_build_of_the_normal_index_where_it_fits(pip, monkeypatch, driver, capability):
    assert ensure(pip, "cuda", gpu=install.Gpu(driver, capability)) == (0, True)
    assert pip.calls == [(TORCH, NORMAL)]


@pytest.mark.parametrize(
    ("page", "own", "gpu", "says"),
    [
        (None, "", ("535.104.05", "8.0"), "driver 535.104.05 is older than 580.65.06.*gave no answer"),
        (wheels("cu130"), "", ("535.104.05", "8.0"), "lists no such build"),
        (None, "index-url", ("535.104.05", "8.0"), "not overridden"),
        (wheels("cu126"), "", ("470.256.02", "3.7"), "driver 470.256.02.*no other does"),
        (wheels("cu126"), "", ("580.95", "3.7"), "compute capability 3.7.*no other does"),
    ],
)
def test_what_would_not_run_is_refused_before_it_is_fetched(pip, monkeypatch, page, own, gpu, says):
    monkeypatch.setattr(install, "fetch_listing", lambda url: page)
    monkeypatch.setattr(install, "own_index", lambda: own)
    with pytest.raises(ValueError, match=says) as caught:
        ensure(pip, "cuda", gpu=install.Gpu(*gpu))
    assert "--device=cpu" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert pip.calls == []


def test_windows_has_the_builds_too(pip, monkeypatch):
    monkeypatch.setattr(install.platform, "system", lambda: "Windows")
    page = wheels("cu126", "cu128", "cu130").replace("manylinux_2_28_x86_64", "win_amd64")
    monkeypatch.setattr(install, "fetch_listing", lambda url: page)
    assert ensure(pip, "cuda", gpu=install.Gpu("546.12", "8.6")) == (0, True)
    assert pip.calls == [(TORCH, f"{install.PYTORCH_INDEX}/cu128")]
