"""Packs folders and answers of a release, small and once: a later release reads them and never changes them."""

import json
import lzma
import os
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

MTIME = "mtime"  # exact, where tar's own is a number with too few digits


def pack(folder: Path, target: Path) -> None:
    """Packs a folder with the exact times of its files; sockets are left out."""
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            if not path.is_socket():
                entry = archive.gettarinfo(path, str(path.relative_to(folder)))
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                entry.pax_headers["CONDUCTOR.mtime_ns"] = str(path.lstat().st_mtime_ns)
                with path.open("rb") if entry.isreg() else BytesIO() as content:
                    archive.addfile(entry, content if entry.isreg() else None)
    target.write_bytes(lzma.compress(made.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def unpack(source: Path, folder: Path) -> Path:
    """Unpacks a folder, with the times of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=BytesIO(lzma.decompress(source.read_bytes()))) as archive:
        for entry in archive:
            archive.extract(entry, folder, filter="data")
        for entry in archive.getmembers():
            moment = int(entry.pax_headers["CONDUCTOR.mtime_ns"])
            os.utime(folder / entry.name, ns=(moment, moment), follow_symlinks=False)
    return folder


def keep(answers: Any, target: Path) -> None:
    """Writes what was answered."""
    text = json.dumps(answers, ensure_ascii=False, sort_keys=True, indent=0)
    target.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def recall(source: Path) -> Any:
    """Reads what was answered."""
    return json.loads(lzma.decompress(source.read_bytes()))


def differences(golden: Any, told: Any, where: str = "") -> list[str]:
    """Returns a line for each value of yesterday's answer that differs today. Today's answer may have more fields."""
    if isinstance(golden, dict) and isinstance(told, dict):
        return [found for key, value in golden.items() for found in differences(value, told.get(key), f"{where}.{key}")]
    if isinstance(golden, list) and isinstance(told, list) and len(golden) == len(told):
        return [
            found
            for number, (value, other) in enumerate(zip(golden, told, strict=True))
            for found in differences(value, other, f"{where}[{number}]")
        ]
    return [] if golden == told else [f"{where}: {golden!r} became {told!r}"[:500]]
