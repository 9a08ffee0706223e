"""Finds calls that are dangerous in the form in which they stand: built shell commands, evaluated input, unchecked archives.

Only forms whose danger shows in the function itself are given; where the value comes from elsewhere, nothing is claimed.
"""

import ast
import re
from collections.abc import Iterator

from ..finding import Severity, cite, shorten
from ..reading.python_source import FUNCTIONS, aliases, call_name, dotted, functions, keyword, resolved, walk_scope
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting
from .dangerous_values import comes_from_outside, is_built, sql_value_inserted

SHELL = Rule(
    "shell-from-values",
    Severity.MEDIUM,
    "A shell command is built out of values in {path}",
    "{count} shell commands are built out of values",
    "A space, quote or `;` in a value changes the command.",
    "Pass a list without a shell, or quote each value with shlex.quote.",
)
EVALUATED = Rule(
    "evaluated-input",
    Severity.HIGH,
    "Input is evaluated as Python in {path}",
    "{count} places evaluate input as Python",
    "An attacker who controls that input runs code in this process.",
    "Parse it (ast.literal_eval, json) instead.",
)
UNPICKLED = Rule(
    "unpickled-input",
    Severity.HIGH,
    "Data that comes from outside is unpickled in {path}",
    "{count} places unpickle data that comes from outside",
    "Unpickling runs code of the sender's choice.",
    "Use a data format, or authenticate the bytes before they are loaded.",
)
YAML = Rule(
    "unsafe-yaml",
    Severity.MEDIUM,
    "YAML is loaded with a loader that can construct any object in {path}",
    "{count} places load YAML with a loader that can construct any object",
    "A document can call constructors of its choice.",
    "Use yaml.safe_load or SafeLoader.",
)
ARCHIVE = Rule(
    "unfiltered-archive",
    Severity.LOW,
    "A tar archive is unpacked without a filter in {path}",
    "{count} places unpack tar archives without a filter",
    "Before Python 3.14 members may be written outside the target folder.",
    "Pass filter='data'.",
)
MKTEMP = Rule(
    "racing-mktemp",
    Severity.MEDIUM,
    "tempfile.mktemp, which races, is used in {path}",
    "tempfile.mktemp, which races, is used in {count} places",
    "Between naming and opening, another user can put a file or link there.",
    "Use mkstemp or NamedTemporaryFile.",
)
UNVERIFIED = Rule(
    "unverified-tls",
    Severity.MEDIUM,
    "The check of TLS certificates is switched off in {path}",
    "The check of TLS certificates is switched off in {count} places",
    "Anyone on the way can read and change this traffic.",
    "Keep the check on, and name a CA bundle where one is needed.",
)
SQL = Rule(
    "sql-from-values",
    Severity.MEDIUM,
    "A value is written into the text of an SQL statement in {path}",
    "{count} SQL statements have values written into their text",
    "A quote in the value changes the statement.",
    "Pass it as a bound parameter.",
)
GUESSABLE = Rule(
    "guessable-secret",
    Severity.MEDIUM,
    "A secret is made with the random module in {path}",
    "{count} secrets are made with the random module",
    "Its output can be predicted from a few samples.",
    "Use the secrets module.",
)
_SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"}
_SUBPROCESS = {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")}
_UNPICKLERS = {"pickle.loads", "pickle.load", "marshal.loads", "dill.loads"}
_REQUESTS = re.compile(
    r"^(requests|httpx)\.(get|post|put|patch|delete|head|options|request|stream|Client|AsyncClient)$"
)
_UNSAFE_LOADERS = {"yaml.Loader", "yaml.UnsafeLoader", "yaml.CLoader", "yaml.unsafe_load", "yaml.unsafe_load_all"}
_SECRET_WORDS = {"token", "password", "passwd", "secret", "otp", "nonce", "salt", "csrf", "apikey"}
_RANDOM = {
    f"random.{name}" for name in ("choice", "choices", "randint", "random", "randrange", "sample", "getrandbits")
}
_OPT_OUT = re.compile(r"insecure|verify|unsafe|skip|nosec|S501|S113|trust", re.IGNORECASE)


def sightings(source: SourceText, tree: ast.Module) -> Iterator[Sighting]:
    """Yields each such call of one file."""
    bound = aliases(tree)
    for scope in [tree, *functions(tree)]:
        local = _assignments(scope)
        name = f"`{scope.name}`" if isinstance(scope, FUNCTIONS) else "the module"
        for node in walk_scope(scope):
            if not isinstance(node, ast.Call):
                continue
            called = call_name(node)
            full = resolved(called, bound) or (called if called in {"eval", "exec"} else "")
            rule = _judge_manner(node, called, full, local, bound) or _judge_secret(scope, full)
            if rule is None and node.args:
                rule = _judge_text(node, called, full, _follow(node.args[0], local), bound)
            if rule and not (rule is UNVERIFIED and _is_chosen(source, node)):
                end = min(node.end_lineno or node.lineno, node.lineno + 3)
                detail = f"{name} calls `{shorten(' '.join(ast.unparse(node).split()), 90)}`"
                yield Sighting(rule, cite(source.path, source.lines, node.lineno, end), detail)


def _judge_text(call: ast.Call, called: str, full: str, first: ast.expr, bound: dict[str, str]) -> Rule | None:
    """Judges a call whose first argument may be the danger."""
    shell = keyword(call, "shell")
    in_shell = full in _SHELLS or (full in _SUBPROCESS and isinstance(shell, ast.Constant) and shell.value is True)
    if in_shell and is_built(first):
        return SHELL
    if full in {"eval", "exec"} and comes_from_outside(first, bound):
        return EVALUATED
    if full in _UNPICKLERS and comes_from_outside(first, bound):
        return UNPICKLED
    if called.endswith((".execute", ".executemany")) and sql_value_inserted(first):
        return SQL
    return None


def _judge_manner(
    call: ast.Call, called: str, full: str, local: dict[str, ast.expr], bound: dict[str, str]
) -> Rule | None:
    """Judges a call that is dangerous by what it is, or by an option given or not given."""
    verify = keyword(call, "verify")
    if _loads_any_yaml(call, full, bound):
        return YAML
    if full == "tempfile.mktemp":
        return MKTEMP
    if called.endswith(".extractall") and keyword(call, "filter") is None and _is_tar(call, local, bound):
        return ARCHIVE
    if _REQUESTS.match(full) and isinstance(verify, ast.Constant) and verify.value is False:
        return UNVERIFIED
    return None


def _judge_secret(scope: ast.AST, full: str) -> Rule | None:
    if full in _RANDOM and isinstance(scope, FUNCTIONS) and set(scope.name.lower().split("_")) & _SECRET_WORDS:
        return GUESSABLE
    return None


def _loads_any_yaml(call: ast.Call, full: str, bound: dict[str, str]) -> bool:
    if full in {"yaml.unsafe_load", "yaml.unsafe_load_all"}:
        return True
    loader = keyword(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
    return full in {"yaml.load", "yaml.load_all"} and resolved(dotted(loader), bound) in _UNSAFE_LOADERS


def _is_tar(call: ast.Call, local: dict[str, ast.expr], bound: dict[str, str]) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    opened = resolved(call_name(_follow(call.func.value, local)), bound)
    return opened in {"tarfile.open", "tarfile.TarFile", "tarfile.TarFile.open"}


def _is_chosen(source: SourceText, call: ast.Call) -> bool:
    """Returns whether the danger is the caller's own choice (`if insecure:`), or owned up to in a comment beside it."""
    before = source.lines[max(call.lineno - 4, 0) : call.lineno - 1]
    here = source.lines[call.lineno - 1 : call.end_lineno]
    return any(_OPT_OUT.search(line) for line in before) or any("#" in line for line in here)


def _assignments(scope: ast.AST) -> dict[str, ast.expr]:
    """Returns the value of each name of a scope; a name with two values is dropped, since it could be either."""
    found: dict[str, ast.expr] = {}
    twice: set[str] = set()
    for node in walk_scope(scope):
        pairs: list[tuple[ast.expr, ast.expr]] = []
        match node:
            case ast.Assign(targets=[target], value=value):
                pairs = [(target, value)]
            case ast.With(items=items) | ast.AsyncWith(items=items):
                pairs = [(item.optional_vars, item.context_expr) for item in items if item.optional_vars]
            case ast.AugAssign(target=target):
                pairs = [(target, target)]
        for target, value in pairs:
            if isinstance(target, ast.Name):
                twice |= {target.id} & found.keys()
                found[target.id] = value
    return {name: value for name, value in found.items() if name not in twice}


def _follow(node: ast.expr, local: dict[str, ast.expr]) -> ast.expr:
    return local.get(node.id, node) if isinstance(node, ast.Name) else node
