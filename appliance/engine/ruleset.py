"""From rule files to a compiled rule set, and the words in which a refused rule is told.

Rules of this file: parsing and compiling happen in the native engine; here only its inputs are put together (variables,
default rules, cache folder) and its refusals are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

from vedette_engine import EngineError, RuleSet

from appliance.errors import OperatorError

STARTER_RULES = Path(__file__).parent.parent / "rules"

Matcher = Literal["vectorscan", "aho-corasick"]


class RulesError(OperatorError):
    """Rule files or variables that cannot be used at all; a single bad rule is a refusal, not an error."""


def rule_variables(home_net: str | None, others: Mapping[str, str]) -> dict[str, str]:
    """The variables given to the engine: HOME_NET with its EXTERNAL_NET, then what else was set.

    `any` sets both to any; otherwise EXTERNAL_NET is !$HOME_NET. What nobody sets keeps the engine's default.
    """
    variables: dict[str, str] = {}
    if home_net:
        if home_net.strip() == "any":
            variables |= {"HOME_NET": "any", "EXTERNAL_NET": "any"}
        else:
            variables |= {"HOME_NET": f"[{home_net}]", "EXTERNAL_NET": "!$HOME_NET"}
    return variables | dict(others)


def load_rules(
    paths: Sequence[str | Path],
    variables: Mapping[str, str],
    *,
    matcher: str = "",
    cache_dir: Path | None = None,
) -> RuleSet:
    """Parse and compile rule files; without paths, the starter rules.

    Raises:
        RulesError: a file cannot be read, or a variable does not parse.
    """
    chosen = [str(path) for path in paths] or [str(STARTER_RULES)]
    try:
        return RuleSet(
            chosen,
            dict(variables),
            matcher=cast("Matcher", matcher) if matcher else None,
            cache_dir=str(cache_dir) if cache_dir else None,
        )
    except EngineError as error:
        raise RulesError(
            str(error),
            advice="Look at the paths of the rules, at HOME_NET (--home-net or home_net) and at the other variables.",
        ) from error


def refusal_summary(rules: RuleSet) -> list[tuple[str, int]]:
    """(keyword, rules refused for it), the most frequent first."""
    return Counter(refusal.keyword for refusal in rules.refused).most_common()
