"""Decides whether it is certain that nothing uses a distribution: its modules are known, and their names stand nowhere.

Where in doubt it is used: a name in a script, in a configuration, in a Dockerfile, or in a string of the code counts as a use. So
do drivers, plugins, servers, and what another package loads where it is there.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property

from ..files import is_vendored
from ..reading.snapshot import Snapshot
from .declarations import Declared, normal

# Modules that are not named as their distribution is. Others that are known have its name.
MODULES: Mapping[str, tuple[str, ...]] = {
    "attrs": ("attr", "attrs"),
    "beautifulsoup4": ("bs4",),
    "bs4": ("bs4",),
    "easyprocess": ("easyprocess",),
    "faiss-cpu": ("faiss",),
    "gitpython": ("git",),
    "grpcio": ("grpc",),
    "meaningcloud-python": ("meaningcloud",),
    "opencv-python": ("cv2",),
    "opencv-python-headless": ("cv2",),
    "pillow": ("PIL",),
    "protobuf": ("google.protobuf",),
    "pycryptodome": ("Crypto",),
    "pygithub": ("github",),
    "pyjwt": ("jwt",),
    "pyopenssl": ("OpenSSL",),
    "pyserial": ("serial",),
    "python-dateutil": ("dateutil",),
    "python-dotenv": ("dotenv",),
    "python-jose": ("jose",),
    "python-magic": ("magic",),
    "python-slugify": ("slugify",),
    "python-telegram-bot": ("telegram",),
    "pyvirtualdisplay": ("pyvirtualdisplay",),
    "pyyaml": ("yaml",),
    "pyzmq": ("zmq",),
    "scikit-image": ("skimage",),
    "scikit-learn": ("sklearn",),
    "setuptools-rust": ("setuptools_rust",),
    "websocket-client": ("websocket",),
}
SAME_NAME = frozenset(
    """
    aiofiles aiohttp anyio arrow boto3 botocore cachetools certifi chardet charset-normalizer clarifai click cloudpickle
    colorlog configparser cryptography decorator docker docopt emoji fastapi filelock flask fsspec future httpx idna
    iso8601 jinja2 joblib jsonschema lxml loguru mako markdown matplotlib mock more-itertools msgpack networkx nltk numpy
    pandas paramiko peewee pendulum pexpect plyer portalocker psutil pydantic pygments pymongo pyparsing pytz pywavelets
    regex requests retrying rich ruamel-yaml schedule scipy seaborn selenium sentry-sdk simplejson six sqlalchemy
    starlette statsmodels stripe structlog sympy tabulate tenacity termcolor toml tomli toolz tqdm tweepy typer unidecode
    urllib3 webdriverdownloader werkzeug wrapt xmltodict yarl
    """.split()  # noqa: SIM905 - a word each is easier to read
)
# Names of modules that many distributions share: nothing is known of any of them.
_SHARED = frozenset(["azure", "backports", "google", "jaraco", "opentelemetry", "sphinxcontrib", "zope"])
# No code imports them, and they are used: servers, drivers, plugins, what another package takes if it is installed.
_UNSEEN = re.compile(
    r"(types|pytest|flake8|django|mkdocs|sphinx|flask|celery|nvidia|torch|jupyter|opentelemetry|backports)-.*|.*-stubs|.*-plugin"
    r"|setuptools.*|wheel|pip|gunicorn|uvicorn|uvloop|hypercorn|daphne|whitenoise|httptools|python-dotenv|watchfiles|websockets|python-multipart"
    r"|email-validator|psycopg.*|mysqlclient|pymysql|asyncpg|aiosqlite|aiomysql|asyncmy|cx-oracle|oracledb|pyodbc|greenlet|dnspython"
    r"|bcrypt|argon2-cffi|passlib|html5lib|openpyxl|xlrd|xlsxwriter|pyarrow|fastparquet|tables|numexpr|bottleneck|tzdata|colorama"
    r"|pywin32|itsdangerous|orjson|ujson|brotli|brotlipy|cryptography|pyopenssl|ndg-.*|flower|sentencepiece|accelerate|tiktoken"
    r"|safetensors|triton|ipython|ipykernel|notebook|pre-commit|tox|nox|black|ruff|mypy|isort|pylint|coverage|h2|socksio|pysocks|lxml"
)
# What other packages are sure to bring, by the packages: users get it all the same.
_BROUGHT: Mapping[str, tuple[str, ...]] = {
    "certifi": ("requests", "httpx", "sentry-sdk"),
    "charset-normalizer": ("requests",),
    "click": ("typer", "flask", "celery", "uvicorn", "black", "dask"),
    "botocore": ("boto3",),
    "httpx": ("openai", "anthropic", "ollama", "groq"),
    "idna": ("requests", "httpx"),
    "jinja2": ("flask",),
    "numpy": ("pandas", "scipy", "scikit-learn", "matplotlib", "seaborn", "opencv-python", "scikit-image"),
    "packaging": ("matplotlib", "scikit-image", "transformers"),
    "pydantic": ("fastapi", "openai", "anthropic", "langchain", "pydantic-settings", "sqlmodel"),
    "rich": ("typer",),
    "six": ("python-dateutil",),
    "sqlalchemy": ("sqlmodel", "flask-sqlalchemy", "alembic"),
    "starlette": ("fastapi",),
    "urllib3": ("requests", "botocore", "boto3", "selenium", "sentry-sdk"),
    "werkzeug": ("flask",),
}
# Programs that let a model write code, and that run it: the code imports what they list.
_MODELS = frozenset("anthropic google-genai google-generativeai groq langchain litellm ollama openai".split())  # noqa: SIM905
_RUNS_CODE = re.compile(
    r"sys\.executable|\bexec\(|\bpip install\b|\buv run\b|[\"'](?:python3?|jupyter)[\"' ]|\bnbclient\b"
)
_READ = re.compile(
    r"\.(py|pyi|pyx|ipynb|toml|cfg|ini|ya?ml|json|sh|bash|bat|ps1|tf|j2|html|in|spec|env|conf|service)$|(^|/)[^.]*$|file$"
)
_NOT_READ = re.compile(
    r"(^|/)(requirements[^/]*|constraints[^/]*)\.(txt|in)$|(^|/)requirements/|\.lock$|-lock\.(json|ya?ml)$|environment\.ya?ml$"
)
_IMPORT = re.compile(r"(?m)^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)")
MAX_CHARACTERS = 60_000_000


class Uses:
    """What the files of a snapshot say, in which a name may stand."""

    def __init__(self, snapshot: Snapshot, declared: Iterable[Declared]) -> None:
        declared = tuple(declared)
        self._snapshot, self._names = snapshot, frozenset(one.key for one in declared)
        self._lines = frozenset((one.path, one.line) for one in declared)

    def is_unused(self, one: Declared) -> bool:
        """Returns whether it is certain that nothing uses a distribution."""
        if one.is_doubtful or _UNSEEN.fullmatch(one.key) or one.key.split("-")[0] in _SHARED:
            return False
        if self._names.intersection(_BROUGHT.get(one.key, ())) or self._runs_code_of_models:
            return False
        modules = MODULES.get(one.key) or ((one.key.replace("-", "_"),) if one.key in SAME_NAME else ())
        if not modules and self._unexplained:
            return False  # one of those imports may be its
        return not self._is_named(one, modules)

    def _is_named(self, one: Declared, modules: tuple[str, ...]) -> bool:
        forms = {re.escape(module) for module in modules} | {
            re.sub(r"-", "[-_.]", re.escape(one.key).replace(r"\-", "-"))
        }
        name = "|".join(sorted(forms))
        in_code = re.compile(rf"(?im)^[ \t]*(?:from|import)[ \t][^\n#]*\b(?:{name})\b|[\"'](?:{name})(?![\w-])")
        elsewhere = re.compile(rf"(?i)(?<![\w-])(?:{name})(?![\w-])")
        for path, text in self._texts.items():
            pattern = in_code if path.endswith((".py", ".pyi", ".ipynb")) else elsewhere
            if any(not self._declares(path, text, match.start(), one) for match in pattern.finditer(text)):
                return True
        return False

    @cached_property
    def _texts(self) -> dict[str, str]:
        found: dict[str, str] = {}
        room = MAX_CHARACTERS
        for path in self._snapshot.paths:
            if _READ.search(path) and not _NOT_READ.search(path) and not is_vendored(path):
                source = self._snapshot.read(path)
                room -= len(source.text) if source else 0
                if room < 0:
                    raise OverflowError(f"the project has more than {MAX_CHARACTERS:,} characters")
                found |= {path: source.text} if source else {}
        return found

    @cached_property
    def _runs_code_of_models(self) -> bool:
        code = (text for path, text in self._texts.items() if path.endswith(".py"))
        return bool(_MODELS & self._names) and any(_RUNS_CODE.search(text) for text in code)

    @cached_property
    def _unexplained(self) -> frozenset[str]:
        """Returns the modules that are imported, and that no file, no declaration and no Python brings."""
        imported = {
            name
            for path, text in self._texts.items()
            if path.endswith((".py", ".pyi"))
            for name in _IMPORT.findall(text)
        }
        parts = {part.removesuffix(".py") for path in self._snapshot.paths for part in path.split("/")}
        known = {normal(module.split(".")[0]) for name in self._names for module in MODULES.get(name, (name,))}
        return frozenset(name for name in imported - sys.stdlib_module_names - parts if normal(name) not in known)

    def _declares(self, path: str, text: str, at: int, one: Declared) -> bool:
        """Returns whether a place is where a manifest declares the distribution."""
        if path.rpartition("/")[2] not in {"pyproject.toml", "setup.py", "setup.cfg"}:
            return False
        if (path, text.count("\n", 0, at) + 1) in self._lines:
            return True
        line = text[text.rfind("\n", 0, at) + 1 : (text + "\n").find("\n", at)]
        form = rf"[\s\"']*{re.escape(one.name)}(?:\[[^\]]*\])?[\s\"']*(?:[=<>!~,;)\]]|$)"
        return bool(re.match(form, line, re.IGNORECASE))
