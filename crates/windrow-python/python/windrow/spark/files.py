"""Files that survive a power cut, as the engine writes them: aside, fsynced, renamed, and their folder fsynced."""

from __future__ import annotations

import os
from typing import Optional


def read_if_there(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def sync_dir(path: str) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_aside(path: str, data: bytes) -> str:
    """Writes beside `path`, durably; the caller renames."""
    folder, name = os.path.split(path)
    aside = os.path.join(folder, "." + name + ".tmp")
    remove(aside)
    with open(aside, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return aside


def replace(path: str, data: bytes) -> None:
    """Replaces a file, whole or not at all."""
    os.rename(write_aside(path, data), path)
    sync_dir(os.path.dirname(path))


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
