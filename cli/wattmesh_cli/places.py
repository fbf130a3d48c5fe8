"""Where backups are kept: a folder, or a URL of any file system that fsspec knows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wattmesh_cli.backups import LIST
from wattmesh_cli.books import BooksError


@contextmanager
def stored(place: str) -> Iterator[Path]:
    """A folder whose files are at the place when the block ends, the list last. BooksError."""
    if "://" not in place:
        yield Path(place)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "backup")
        with _reached(place) as (files, root):
            if files.exists(root) and files.ls(root, detail=False):
                raise BooksError(f"{place}: there is something in it; name a new folder")
        yield folder
        with _reached(place) as (files, root):
            files.makedirs(root, exist_ok=True)
            for path in sorted(folder.iterdir(), key=lambda path: path.name == LIST):
                files.put_file(str(path), f"{root}/{path.name}")


@contextmanager
def fetched(place: str) -> Iterator[Path]:
    """A folder with the files that are at a place. BooksError."""
    if "://" not in place:
        yield Path(place)
        return
    with tempfile.TemporaryDirectory() as scratch:
        with _reached(place) as (files, root):
            for name in files.ls(root, detail=False):
                files.get_file(name, str(Path(scratch, name.rpartition("/")[2])))
        yield Path(scratch)


@contextmanager
def _reached(place: str) -> Iterator[tuple[Any, str]]:
    """The file system and the path in it that a URL names."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise BooksError(f"{place}: URLs need fsspec; pip install 'wattmesh[backup]'") from None
    try:
        files, root = url_to_fs(place)
        yield files, root.rstrip("/")
    except (OSError, ValueError, ImportError) as error:
        raise BooksError(f"{place}: {' '.join(str(error).split())}") from None
