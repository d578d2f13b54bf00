"""`--dry_run`, and what CM and mlcflow call a fake run: say what would be done, and do none of it.

CM fakes the recipe that was called alone, and runs its dependencies for real: that of `reproduce` is the one that
trains. So its metadata asks for a dry run of it. The device is looked for; nothing is installed, fetched, trained or
written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ie_recipes import flags
from ie_recipes.run import results_folder


def lines(request: flags.Request, here: Path, env: Mapping[str, Any]) -> list[str]:
    """What the request would do: a line for each results folder, and before it where and on what."""
    parts = request.parts()
    folder = Path(request.outdir) if request.outdir else results_folder.default(here, request.task())
    device = f"{env.get('CM_IE_DEVICE', 'not looked for')}, asked for: {request.device}"
    said = [f"would run {request.task()} | device: {device} | results: {folder}"]
    for name, part in parts.items():
        config = part.config()
        what = f"{part.method}, recipe {part.recipe}, {config['supervision']}, {config['labels']} labels"
        runs = f"{part.seeds} run{'s' if part.seeds > 1 else ''} of {config['epochs']} epochs"
        threads = f"{config['threads']} thread{'s' if config['threads'] > 1 else ''} each"
        said.append(f"  {folder / name if request.several else folder}: {what}, {runs}, {threads}")
    data = "drawn, not fetched" if request.dataset == "glyphs" else f"verified files of {request.dataset}"
    if request.own:
        counts = {key[4:]: value for key, value in request.own.items() if key.startswith("own_")}
        data = f"{counts['train']:,} images to train on, {counts['valid']:,} to choose by, {counts['test']:,} to test,"
        data += f" {counts['classes']:,} classes,"
    logged = [f"  history: for {request.log}, in {request.log_dir}"] if request.log else []
    return [
        *said,
        *logged,
        f"  data: {data}{f' in {request.data}' if request.data else ''}",
        "nothing was done: a dry run",
    ]
