"""`vedette rules check`: which rules load, which are refused, where and why.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from appliance.cli.options import EXIT_CODES, add_rule_options, formatter
from appliance.engine.ruleset import load_rules, refusal_summary, rule_variables
from appliance.errors import OperatorError

EXAMPLES = """\
examples:
  vedette rules check /etc/vedette/rules
  vedette rules check --json local.rules | jq '.refused[] | .keyword'
"""


def add(commands: Any) -> None:
    """Declare the command."""
    rules = commands.add_parser(
        "rules", help="check rule files", description="Work with rule files.", formatter_class=formatter
    )
    actions = rules.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="load rule files and list what is refused",
        description="Load rule files (or folders of *.rules) and list every refused rule: file:line, keyword, reason.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    check.add_argument("paths", nargs="+", metavar="PATH", help="rule file, or folder of *.rules")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    add_rule_options(check)
    check.set_defaults(run=run_check)


def run_check(args: argparse.Namespace) -> int:
    """Exit 0 only if every rule loaded."""
    rules = load_rules(args.paths, rule_variables(args.home_net, dict(args.var)), matcher=args.matcher or "")
    if not rules.rules and not rules.refused:
        raise OperatorError(
            f"{', '.join(args.paths)}: no rule came, at least one was allowed",
            advice="In a folder only files named *.rules are read, and lines that begin with # are not rules.",
        )
    if args.json:
        refused = [
            {"file": r.file, "line": r.line, "sid": r.sid, "keyword": r.keyword, "reason": r.reason}
            for r in rules.refused
        ]
        print(json.dumps({"loaded": len(rules.rules), "refused": refused}, indent=1))
    else:
        for r in rules.refused:
            print(f"{r.file}:{r.line}: sid {r.sid if r.sid is not None else '-'}: {r.keyword}: {r.reason}")
        print(f"{len(rules.rules)} loaded, {len(rules.refused)} refused")
        for keyword, count in refusal_summary(rules)[:20]:
            print(f"  {count:6} for {keyword}")
    return 1 if rules.refused else 0
