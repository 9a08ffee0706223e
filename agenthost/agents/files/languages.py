"""Names the kind of a file: its language, or the tool that reads it, or else its extension."""

import re
from pathlib import PurePosixPath

_CODE = {
    "Python": "py pyi pyw",
    "JavaScript": "js jsx mjs cjs",
    "TypeScript": "ts tsx mts cts",
    "C": "c h",
    "C++": "cc cpp cxx hh hpp hxx",
    "Go": "go",
    "Java": "java",
    "Kotlin": "kt",
    "Rust": "rs",
    "Ruby": "rb",
    "PHP": "php",
    "C#": "cs",
    "Swift": "swift",
    "Scala": "scala",
}
_OTHERS = {
    "Kotlin": "kts",
    "Shell": "sh bash zsh ksh",
    "Markdown": "md markdown mdx",
    "reStructuredText": "rst",
    "AsciiDoc": "adoc asciidoc",
    "YAML": "yml yaml",
    "JSON": "json jsonc json5",
    "TOML": "toml",
    "XML": "xml xsd xsl",
    "HTML": "html htm xhtml",
    "CSS": "css scss sass less",
    "SQL": "sql",
    "Vue": "vue",
    "Svelte": "svelte",
    "Gradle": "gradle",
    "Terraform": "tf tfvars",
    "Protocol Buffers": "proto",
    "PowerShell": "ps1 psm1",
    "Batch": "bat cmd",
    "Lua": "lua",
    "Perl": "pl pm",
    "Dart": "dart",
    "Objective-C": "m mm",
    "Elixir": "ex exs",
    "Jupyter notebook": "ipynb",
    "CMake": "cmake",
    "Makefile": "mk mak",
    "Text": "txt text",
}
_BY_EXTENSION = {
    f".{extension}": name
    for table in (_CODE, _OTHERS)
    for name, extensions in table.items()
    for extension in extensions.split()
}
_CODE_EXTENSIONS = frozenset(f".{extension}" for extensions in _CODE.values() for extension in extensions.split())
_BY_NAME = {
    "makefile": "Makefile",
    "gnumakefile": "Makefile",
    "jenkinsfile": "Jenkinsfile",
    "gemfile": "Ruby",
    "rakefile": "Ruby",
    "cmakelists.txt": "CMake",
    "action.yml": "GitHub action",
    "action.yaml": "GitHub action",
}
_CONTAINER = re.compile(
    r"^(docker|container)file$|^(docker|container)file[.-][\w.-]+$|^[\w.-]+\.(docker|container)file$"
)
_WORKFLOW = re.compile(r"^\.github/workflows/[^/]+\.ya?ml$")
_IGNORE_FILE = re.compile(r"\.(dockerignore|containerignore)$")
_EXTENSION = re.compile(r"\.[a-z0-9_+-]{1,12}$")  # a name that is a sentence has none
_SHEBANG = re.compile(r"^#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*)?(?:\S*/)?([A-Za-z]+)")
_BY_INTERPRETER = {
    **dict.fromkeys(("sh", "bash", "dash", "ash", "ksh", "zsh"), "Shell"),
    **dict.fromkeys(("python", "pypy"), "Python"),
    **dict.fromkeys(("node", "nodejs", "deno", "bun"), "JavaScript"),
    "ruby": "Ruby",
    "perl": "Perl",
    "php": "PHP",
    "make": "Makefile",
    "lua": "Lua",
}
SCRIPTS = ("JavaScript", "TypeScript")


def language(path: str, first_line: str = "") -> str:
    """Returns the kind of a file. A name without an extension is judged by its shebang; empty where both say nothing."""
    pure = PurePosixPath(path)
    name, extension = pure.name.lower(), pure.suffix.lower()
    if _WORKFLOW.match(path):
        return "GitHub workflow"
    if _CONTAINER.match(name) and not _IGNORE_FILE.search(name):
        return "Dockerfile"
    known = _BY_NAME.get(name) or _BY_EXTENSION.get(extension)
    return known or by_shebang(first_line) or (extension if _EXTENSION.match(extension) else "")


def by_shebang(first_line: str) -> str:
    """Returns the language of the interpreter in a shebang; empty for any other line."""
    return _BY_INTERPRETER.get(interpreter(first_line), "")


def interpreter(first_line: str) -> str:
    """Returns the name of the interpreter in a shebang, in lower case; empty for any other line."""
    match = _SHEBANG.match(first_line[:200])
    return match[1].lower() if match else ""


def is_code(path: str) -> bool:
    """Returns whether the extension is that of a general programming language."""
    return PurePosixPath(path).suffix.lower() in _CODE_EXTENSIONS
