"""The rules of fetching a git repository by its URL: which URLs there are, which hosts an operator allows, which addresses."""
