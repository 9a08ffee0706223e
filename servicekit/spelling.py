"""Says which names there are where a given one is not among them."""

from collections.abc import Collection
from difflib import get_close_matches


def there_are(name: str, known: Collection[str]) -> str:
    """Returns `: did you mean 'prompt'? There are argv, prompt` for a close name, else `; there are argv, prompt`."""
    names = ", ".join(known) or "none"
    close = get_close_matches(name, known, n=1)
    return f": did you mean '{close[0]}'? There are {names}" if close else f"; there are {names}"
