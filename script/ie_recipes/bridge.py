"""CM's raw input: which keys are CM's own, and refusing flags that a recipe does not have.

CM ignores flags that it does not know and gives `True` for a flag without a value. Only the recipe that was called sees
the raw flags; a dependency sees CM's own keys alone.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

# CM's own keys: what it puts into the input itself, and its general flags that mean something here
CM_KEYS = frozenset(
    """
    action ad add_deps add_deps_recursive adr artifact artifacts automation cmd common const const_state
    debug_script debug_uid dump_version_info env fake_deps fake_run force_cache help ignore_inheritance j json
    new out parsed_artifact parsed_artifacts parsed_automation pause prepare print_deps print_env print_readme
    print_versions renew repro repro_dir repro_prefix s save_to_json script_call_prefix silent skip_cache
    skip_remembered_selections skip_write_test space state tags time unparsed_cmd v verbose
    """.split()
)


def refuse_unknown(raw: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise ValueError for the first key that is neither one of ``known`` nor CM's own, and name the nearest flag."""
    for key in raw:
        if key not in known and key not in CM_KEYS and key != "quiet":
            near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.5)
            hint = f"did you mean {typed(near[0])}? " if near else ""
            raise ValueError(f"unknown flag {typed(key)}: {hint}valid are {', '.join(map(typed, known))}")


def refuse_words(raw: Mapping[str, Any], example: str) -> None:
    """Raise ValueError for a word that stands alone, as the 8080 of `--port 8080` does."""
    if words := [str(word) for word in raw.get("artifacts", [])]:
        raise ValueError(f"{words[0]!r} is one word too many: values stand behind '=' ({example})")


def typed(key: object) -> str:
    """The flag as it is typed: data_set becomes --data-set."""
    return "--" + str(key).replace("_", "-")
