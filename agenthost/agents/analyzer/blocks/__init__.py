"""Takes pieces in another language out of files, as files of their own, so that a tool for that language can judge them.

A module for each kind of piece, with `read(text) -> Extract`; `blocks.py` writes them and leads results back to where they stand.
"""
