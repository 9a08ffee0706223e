"""The forms of a report beside Markdown and JSON, rendered from the stored JSON when a client asks. They judge nothing again."""
