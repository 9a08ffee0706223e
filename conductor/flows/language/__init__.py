"""The languages of a flow file: YAML with lines, shape, expressions, templates, schemas, Markdown; and a file's problems."""
