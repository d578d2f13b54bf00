"""Evidence in S3-compatible storage, by obstore: the same files under their hashes, and a folder that holds copies.

IE_CROWD_EVIDENCE=s3://BUCKET/PREFIX (or what else obstore takes: gs://, az://). Credentials, and AWS_ENDPOINT_URL for
storage that is not Amazon's, stand in the environment, as for other programs. A file is checked here before it is
sent, and again when it comes back: who can write to the bucket changes nothing unseen. An object appears whole or not
at all. The folder here is a copy that may be removed at any time.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from ie_crowd.evidence.files import PIECE, VARIABLE, Away, Files
from ie_crowd.formats import checksums

RETRY = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}  # somebody may be waiting for a page
INSTALL = "evidence in a bucket needs obstore: pip install obstore"


class Bucket(Files):
    """One store's evidence in a bucket. ``root``: the folder of copies."""

    def __init__(self, url: str, root: Path) -> None:
        super().__init__(root)
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise ValueError(INSTALL) from None
        self._obstore: Any = obstore
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        try:
            options: Any = {"client_options": {"allow_http": plain}, "retry_config": RETRY}
            self._bucket: Any = from_url(url, **options)
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise ValueError(f"{VARIABLE}: {_line(error)}") from None

    def has(self, sha256: str) -> bool:
        """Whether it is in the bucket."""
        self.path(sha256)  # refuses what is no hash
        with _told():
            try:
                self._obstore.head(self._bucket, _key(sha256))
            except FileNotFoundError:
                return False
        return True

    def local(self, sha256: str) -> Path:
        """The copy here, made now if there is none; a path where nothing is if the bucket has no such file.

        Raises ValueError, one line, for one that is not what its name says; Away where the bucket does not answer.
        """
        final = self.path(sha256)
        if final.is_file():
            return final
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".part-", dir=final.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file, _told():
                try:
                    file.writelines(self._pieces(sha256))
                except FileNotFoundError:
                    return final
            if checksums.sha256_file(part)[0] != sha256:
                raise ValueError(f"{sha256[:12]}…: the bucket holds something else under this hash")
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)
        return final

    def remove(self, keep: Collection[str], older: float) -> int:
        """As of a folder, in the bucket; and the copies here."""
        super().remove(keep, older)
        count = 0
        with _told():
            for some in self._obstore.list(self._bucket):
                for one in some:
                    name = one["path"].rpartition("/")[2]
                    if name not in keep and time.time() - one["last_modified"].timestamp() > older:
                        self._obstore.delete(self._bucket, one["path"])
                        count += 1
        return count

    def _keep(self, part: Path, final: Path) -> None:
        with _told():
            try:
                self._obstore.put(self._bucket, _key(final.name), part)
            except FileNotFoundError as error:  # no such bucket
                raise Away(_told_of(error)) from None
        part.replace(final)

    def _pieces(self, sha256: str) -> Iterator[bytes]:
        for piece in self._obstore.get(self._bucket, _key(sha256)).stream(min_chunk_size=PIECE):
            yield bytes(piece)


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What a bucket does not do, as one line; FileNotFoundError is for who asked."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise Away(_told_of(error)) from None


def _told_of(error: BaseException) -> str:
    return f"the evidence's bucket: {_line(error)}"


def _line(error: BaseException) -> str:
    """What an error says, without what it holds for who debugs the library."""
    return " ".join(str(error).partition("Debug source")[0].split())[:300]
