"""The languages of a flow file: YAML with lines, shape, expressions, templates, schemas, Markdown; and the problems found in one."""
