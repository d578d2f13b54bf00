"""The trials of a search in Optuna's storage: an SQLite file, or a schema of a PostgreSQL database that many share."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

SCHEMA = "ie_repr_search"  # of PostgreSQL: both a store and Optuna keep a table alembic_version
POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
FILE = "search.sqlite"
WAIT_SECONDS = 60  # for another process that writes
STARTUP_TRIALS = 5  # that end before one is pruned by their median
WARM_UP_EPOCHS = 1
# what is kept of each trial beside Optuna's own
OWNER, PLACE, REASON, SAME = "owner", "place", "reason", "same_as"


@dataclass(frozen=True)
class Search:
    """What a search is, as every process of it is told: JSON."""

    axes: Mapping[str, list[Any]]
    left_out: list[dict[str, Any]]
    only: list[dict[str, Any]]
    draws: list[int]
    trials: int
    hours: float | None
    at_once: int
    device: str
    data: str | None
    storage: str | None  # None: a file in the folder
    folder: str
    quiet: bool

    @property
    def name(self) -> str:
        """The study's: the same grid in the same storage is the same search, whoever does its trials."""
        asked = json.dumps([self.axes, self.left_out, self.only, self.draws], sort_keys=True)
        return f"ie-repr-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"

    @property
    def owner(self) -> str:
        """Whose trials they are that this folder's processes do, told apart without naming a machine."""
        return hashlib.sha256(self.folder.encode()).hexdigest()[:16]

    def text(self) -> str:
        """As JSON; `read` reads it back."""
        return json.dumps(asdict(self))


def read(path: Path) -> Search:
    """The Search that a file holds."""
    return Search(**json.loads(path.read_text(encoding="utf-8")))


def refuse(storage: str) -> None:
    """Raise ValueError unless this names a storage: a file, or a PostgreSQL without a password in its address."""
    if "://" not in storage:
        return
    parts = urlsplit(storage)
    if parts.scheme not in POSTGRESQL:
        raise ValueError(f"--storage={parts.scheme}://…: expected a file's name, or postgresql://USER@HOST/DATABASE")
    if parts.password:
        raise ValueError("--storage holds a password, which would be kept with the results; give it by PGPASSWORD")


@contextmanager
def explained(storage: str | None) -> Iterator[None]:
    """What goes wrong with a storage, as one line."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, RuntimeError) as error:
        reason = str(getattr(error, "orig", None) or error.__cause__ or error).strip().splitlines()[0]
        named = "the search's own file" if storage is None else f"--storage={storage}"
        raise ValueError(
            f"{named} cannot be used ({reason:.200}); expected a file of a search, or PostgreSQL"
        ) from None


def opened(search: Search, worker: int = 0) -> optuna.Study:
    """The study of a search, made where there is none. Raises ValueError with one line where it cannot be used."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with explained(search.storage):
        if search.storage is None or "://" not in search.storage:
            path = Path(search.storage or Path(search.folder) / FILE)
            url, arguments = f"sqlite:///{path}", dict[str, Any](timeout=WAIT_SECONDS)
        else:
            url = "postgresql+psycopg://" + search.storage.partition("://")[2]
            engine = create_engine(url)
            with engine.begin() as connection:
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            engine.dispose()
            arguments = dict[str, Any](options=f"-csearch_path={SCHEMA}")
        storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": arguments})
        study = optuna.create_study(
            storage=storage,
            study_name=search.name,
            direction="minimize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARM_UP_EPOCHS),
        )
        seed = hashlib.sha256(f"{search.owner}/{worker}/{len(study.get_trials(deepcopy=False))}".encode()).digest()
        study.sampler = optuna.samplers.TPESampler(seed=int.from_bytes(seed[:4], "big"))
    return study


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those asked for: not one that was left behind, nor one that repeats another."""
    if SAME in trial.user_attrs or trial.state == TrialState.WAITING:
        return False
    return trial.state != TrialState.FAIL or REASON in trial.user_attrs


def take_up(study: optuna.Study, search: Search) -> None:
    """What this folder's processes left in the middle is tried again first, in the same place: its checkpoint is there.

    Nobody of this folder may be at work.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(OWNER) == search.owner:
            study.tell(trial.number, state=TrialState.FAIL)
            place = trial.user_attrs.get(PLACE, str(trial.number))
            study.enqueue_trial(trial.params, user_attrs={PLACE: place})


@dataclass(frozen=True)
class Summary:
    """What a search has come to. hours: of all trials, one after another."""

    trials: int
    pruned: int
    failed: int
    hours: float
    best: int | None
    value: float | None

    def line(self) -> str:
        """As a result declares it."""
        return f"{self.trials} trials, {self.hours:.2f} hours"


def summary(study: optuna.Study) -> Summary:
    """Over all trials that count, whoever did them."""
    trials = study.get_trials(deepcopy=False)
    kept = [trial for trial in trials if counts(trial)]
    done = [trial for trial in kept if trial.state == TrialState.COMPLETE and trial.value is not None]
    best = min(done, key=lambda trial: (trial.value, trial.number), default=None)
    return Summary(
        trials=len(kept),
        pruned=sum(trial.state == TrialState.PRUNED for trial in kept),
        failed=sum(trial.state == TrialState.FAIL for trial in kept),
        hours=sum(trial.duration.total_seconds() for trial in trials if trial.duration) / 3600,
        best=best.number if best else None,
        value=best.value if best else None,
    )


def picture(study: optuna.Study, path: Path) -> None:
    """The trials' errors and the best so far, as a picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as drawn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        drawn.plot_optimization_history(study, target_name="validation error, %")
    pyplot.savefig(path, bbox_inches="tight")
    pyplot.close()
