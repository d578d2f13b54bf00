"""Checks the flags, then runs a program of ie_recipes as one child process, and hands its end on to CM."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE))


def predeps(i):
    from ie_recipes import flags, front_end

    return front_end.predeps(i, flags.check)


def preprocess(i):
    from ie_recipes import front_end

    return front_end.preprocess(i, run)


def run(i):
    from ie_recipes import dry_run, flags, front_end, own_code, setup
    from ie_recipes.run import logs, processes, results_folder

    env = i["env"]
    here = Path(env["CM_TMP_CURRENT_PATH"])
    try:
        request = flags.from_env(env)
        if flags.is_dry_run(env):
            return setup.say(i, "\n".join(dry_run.lines(request, here, env)))
        folder = Path(request.outdir) if request.outdir else results_folder.claimed(here, request.task())
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    own_code.load(own_code.checkout())
    from ie_crowd.formats import scratch

    with scratch.folder("run") as place:
        last_words = place / "error.txt"
        key = "CM_IE_DATA_" + request.dataset.upper().replace("-", "_")
        data = request.data if request.own else env.get(key)
        # what is drawn, or the user's own, is not downloaded
        downloaded = env.get(key + "_DOWNLOADED", "") if data and not request.own else "0"
        argv = [sys.executable, "-P", f"{HERE}/ie_recipes/{request.program()}", f"--request={request.text()}"]
        argv += [f"--device={env['CM_IE_DEVICE']}", f"--reason={env.get('CM_IE_DEVICE_REASON', '')}"]
        argv += [f"--folder={folder}", f"--last-words={last_words}", *([f"--data={data}"] if data else [])]
        argv += [f"--downloaded={downloaded}"] if downloaded != "" else []
        code = processes.run(argv, cwd=here, env=front_end.child_environment(env))
        error = last_words.read_text(encoding="utf-8").strip() if last_words.exists() else ""
    if code in (74, 141) and (folder / "result.json").exists() and not results_folder.unfinished(folder):
        return {"return": code, "error": f"standard output could not be written, but the run is complete: {folder}"}
    if code:
        if not request.outdir:
            results_folder.forget_empty(folder)
        error = error or f"the run was ended (exit code {code}); what there is lies in {folder}"
        return {"return": code, "error": error}
    env["CM_IE_RESULT"] = str(folder)
    error = logs.write(request, folder, here, front_end.child_environment(env))
    return {"return": 1, "error": error} if error else {"return": 0}
