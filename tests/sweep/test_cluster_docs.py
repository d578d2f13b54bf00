"""docs/clusters.md: its keys, the worker that a batch system starts, and what its configurations ask for."""

import re
import shlex
import subprocess
import sys
import textwrap

import dask
import pytest
import yaml
from ie_recipes.sweep import cluster, connection, engine, worker, works
from paths import RECIPES, ROOT

from benchmarks.sweep_machines import Machines

PAGE = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")

TRAINING = (
    "--method=equivae --recipe=paper --dataset=glyphs --supervision=semi-supervised --seed=100 --label-seed=100"
).split()


def block(language, word):
    """The page's block of code that has this word."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [text for kind, text in blocks if kind == language and word in text]
    return found


@pytest.fixture
def keys(tmp_path):
    """The page's own commands, in a folder of the test; the environment that they leave."""
    make, use = block("bash", "openssl req"), block("bash", "REQUIRE_ENCRYPTION").replace("dask scheduler", "env #")
    done = subprocess.run(
        ["bash", "-euc", make + use], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    )
    env = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    return {name: value for name, value in env.items() if name.startswith("DASK_")}


def test_with_keys_a_batch_systems_worker_needs_no_more_than_the_way_to_the_scheduler(place, tmp_path, keys):
    told = []
    with Machines(tmp_path / "machines", **keys) as machines:
        machines.scheduler("--protocol=tls")
        # nobody reaches it at the address that it names, as behind a firewall or a tunnel
        address = machines.address.replace("tcp://", "tls://")
        words = ["--listen-address=tls://127.0.0.2:0", "--contact-address=tls://127.0.0.9:9"]
        machines.plain_worker(1, "ie_recipes.sweep.worker", *words, scheduler=address)
        many = cluster.Cluster(tmp_path / "out", address, "cpu", "again", patience=60.0)
        for name in ("CA_FILE", "CLIENT__CERT"):
            assert f"DASK_DISTRIBUTED__COMM__TLS__{name}" in keys
        with pytest.raises(ValueError, match="no scheduler of dask answers there"):
            connection.connect(address, seconds=5.0)  # without keys
        settings = {
            name.removeprefix("DASK_").lower().replace("__", ".").replace("_", "-"): value == "True" or value
            for name, value in keys.items()
        }
        with dask.config.set(settings):
            machines.ready(1, address)
            many.prepare()
            many.do([works.Work("cell", 0, "glyphs", TRAINING)], lambda *what: told.append(what), lambda: None)
    assert [what for _, what, _ in told] == [engine.RUNNING, engine.DONE]
    assert works.read_run(tmp_path / "out" / "cell" / "runs" / "0")["status"] == "completed"


def test_the_job_script_starts_such_a_worker(tmp_path):
    code = block("python", "SLURMCluster")
    assert "cluster.scale(jobs=100)" in code
    # no keys and no jobs: what is asked for is what counts here
    code = code[: code.index("cluster.scale(")].replace('    protocol="tls://",\n', "")
    code = re.sub(r"    security=.*\n    shared_temp_directory=.*\n", "", code).replace(
        '"port": 8786', '"host": "127.0.0.1"'
    )
    code += "cluster.close()\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120
    )
    script = done.stdout.splitlines()
    assert {"#SBATCH -p main", "#SBATCH --cpus-per-task=1", "#SBATCH -t 04:00:00", "#SBATCH --requeue"} <= set(script)
    assert "export PYTHONPATH=/opt/ie-repr/script" in script
    (line,) = [line for line in script if "dask_worker" in line]
    words = shlex.split(line)
    assert words[1:3] == ["-m", "distributed.cli.dask_worker"]
    assert words[words.index("--nthreads") + 1] == "1"
    limits = [words[at + 1] for at, word in enumerate(words) if word == "--memory-limit"]
    assert limits[-1] == "0", "the last one counts"
    assert words[words.index("--preload") + 1] == worker.__name__


def test_the_other_configurations_ask_for_the_same():
    document = yaml.safe_load(block("yaml", "DaskCluster"))
    (container,) = document["spec"]["worker"]["spec"]["containers"]
    words = container["args"]
    assert [words[words.index(flag) + 1] for flag in ("--nthreads", "--memory-limit", "--preload", "--protocol")] == [
        "1", "0", worker.__name__, "tls",
    ]  # fmt: skip
    assert container["env"] == document["spec"]["scheduler"]["spec"]["containers"][0]["env"]
    code = block("python", "SSHCluster")
    compile(code, "clusters.md", "exec")
    assert f'"preload": ["{worker.__name__}"]' in code
    assert (RECIPES / "ie_recipes" / "sweep" / "worker.py").is_file()
    assert textwrap.dedent(code) == code
