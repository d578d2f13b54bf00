"""The raw input of a recipe: which keys are CM's or mlcflow's own, and refusing flags that the recipe does not have.

Both ignore flags that they do not know and give `True` for a flag without a value. Only the recipe that was called sees
the raw flags; a dependency sees the front end's own keys alone.
"""

import difflib
import shlex
from collections.abc import Collection, Mapping
from typing import Any

# what CM and mlcflow put into the input themselves, and their general flags that mean something to these recipes
KEYS = frozenset(
    """
    action ad add_deps add_deps_recursive adr artifact automation common const const_state debug debug_script
    debug_script_tags debug_uid detected_versions dirty docker_run_deps dump_version_info env extra_cache_tags
    fake_deps fake_run force_cache help ignore_script_error j json new out parsed_artifact pause prepare print_deps
    print_env print_readme print_versions recursion recursion_spaces remembered_selections renew run_state s save_env
    save_to_json shell silent skip_cache skip_remembered_selections skip_sudo skip_sys_utils skip_write_test space
    state tags time v verbose
    """.split()
)
CM_ONLY = frozenset(
    """
    artifacts cmd control ignore_inheritance parsed_artifacts parsed_automation repro repro_dir repro_prefix
    script_call_prefix unparsed_cmd
    """.split()
)
MLCFLOW_ONLY = frozenset(
    """
    cache_expiration details exp mlc_input_file mlc_isolate mlc_isolate_clean mlc_isolate_dir mlc_output mlc_run_cmd p
    path_only recursion_int script_tags target target_name test_input_index variations_list
    """.split()
)
CM_KEYS = KEYS | CM_ONLY | MLCFLOW_ONLY
# documented keys that reach a script's env, where these recipes do not look: said, instead of doing nothing
UNUSED = {
    "version": "a recipe is as new as the copy of ie-repr",
    "version_min": "a recipe is as new as the copy of ie-repr",
    "version_max": "a recipe is as new as the copy of ie-repr",
    "version_max_usable": "a recipe is as new as the copy of ie-repr",
    "path": "files are found by --data or --result",
    "input": "files are found by --data or --result",
    "output": "results go to --outdir",
    "outbasename": "results go to --outdir",
    "outdirname": "results go to --outdir",
    "name": "no recipe is kept in a cache under a name",
}


def refuse_unknown(raw: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise ValueError for the first key that is neither one of ``known`` nor the front end's own, and say what to do:
    the nearest flag, or whose key it is."""
    mlcflow = is_mlcflow(raw)
    for key in raw:
        if key in known or key == "quiet" or key in KEYS or key in (MLCFLOW_ONLY if mlcflow else CM_ONLY):
            continue
        if key in CM_KEYS:
            whose, here = ("CM", "mlcflow") if mlcflow else ("mlcflow", "CM")
            raise ValueError(f"{typed(key)} is a key of {whose}, and {here} has none like it: leave it out")
        near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.5)
        hint = f"did you mean {typed(near[0])}? " if near else f"{UNUSED[key]}; " if key in UNUSED else ""
        raise ValueError(f"unknown flag {typed(key)}: {hint}valid are {', '.join(map(typed, known))}")


def refuse_words(raw: Mapping[str, Any], example: str) -> None:
    """Raise ValueError for a word that stands alone, as the 8080 of `--port 8080` does."""
    if found := words(raw):
        raise ValueError(f"{found[0]!r} is one word too many: values stand behind '=' ({example})")


def words(raw: Mapping[str, Any]) -> list[str]:
    """The words that stand alone: CM lists them, mlcflow drops them and keeps the command as it was typed."""
    if not is_mlcflow(raw):
        return [str(word) for word in raw.get("artifacts", [])]
    given = shlex.split(str(raw.get("mlc_run_cmd") or ""))[1:]
    alone = [word for word in given if not word.startswith("-") and "=" not in word]
    return alone[3 if alone[1:2] == ["script"] else 1 :]  # `mlc run script TAGS`, `mlcr TAGS`


def is_mlcflow(raw: Mapping[str, Any]) -> bool:
    """Whether it is mlcflow's input: it says what was typed, or, from `mlct` and its Python API, has a target alone.

    CM's always names its automation.
    """
    return "mlc_run_cmd" in raw or ("target" in raw and "automation" not in raw)


def typed(key: object) -> str:
    """The flag as it is typed: data_set becomes --data-set."""
    return "--" + str(key).replace("_", "-")
