"""Reading and writing files: atomically, privately where they are arawn's own, and regular files only.

A file is written to a temporary one beside it, synced, and renamed, and its folder is synced: a reader sees the old
version or the new one at any time. Only regular files are read, once, up to a size. Where the user names a file, a pipe
will do as well: a shell gives one for ``<(command)`` and ``>(command)``. It is read to its end, or written to.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from arawn.errors import ConfigError, NotSavedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a platform lacks, it does without: Windows has no O_NOFOLLOW or O_NONBLOCK, only Windows has O_BINARY.
_BINARY = getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
PIPE_WAIT = 10.0
"""Seconds that the other end of a pipe has to be opened."""
_STDOUT = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
_DESCRIPTORS = ("/dev/fd/", "/dev/std", "/proc/")
"""Where the descriptors of a process have names: what stands behind one is written to as it is."""


def write_private(path: str, data: bytes) -> None:
    """Replace a file of arawn's own, mode 0600 or what stricter mode it had; of a symbolic link, the target.

    Missing folders are created 0700. Raises ConfigError, and then the old file is as it was.
    """
    try:
        target = os.path.realpath(path)
        private_dir(os.path.dirname(target))
        _replace(target, data, private=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot write {path}: {_reason(error)}", hints=("nothing was changed",)) from error


def names_stdout(path: str) -> bool:
    """Say whether the name of a file for output means standard output."""
    return path in _STDOUT


def is_special(path: str) -> bool:
    """Say whether a file for output is a device or a pipe, which is written to and never replaced."""
    if path.startswith(_DESCRIPTORS):
        return True
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def is_terminal(path: str) -> bool:
    """Say whether a file for output may be a terminal: any device may, for it is not opened to find out."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def write_output(path: str, data: bytes) -> None:
    """Replace a file the user named for output: with the mode it had, a new one as the umask says.

    A device or pipe is written to, not replaced. Raises UsageError when the path cannot be a file, NotSavedError when
    the writing failed; the old file is then as it was.
    """
    try:
        if is_special(path):
            with open(open_special(path), "wb") as file:
                file.write(data)
        else:
            _replace(os.path.realpath(path), data, private=False)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {_reason(error)}") from error
    except OSError as error:
        raise NotSavedError(f"cannot write {path}: {_reason(error)}", hints=("nothing was changed",)) from error


def open_special(path: str, wait: float = PIPE_WAIT) -> int:
    """Open a device or a pipe to write; returns the descriptor.

    Raises UsageError for a pipe that no program reads for ``wait`` seconds.
    """
    flags = os.O_WRONLY | os.O_APPEND | _BINARY
    if stat.S_ISFIFO(os.stat(path).st_mode):
        return _open_pipe(path, flags, wait, f"cannot write {path}: it is a pipe, and no program reads it")
    return os.open(path, flags)


def require_place(path: str) -> None:
    """Raise UsageError where ``write_output`` could write no file, so that the work is not done in vain."""
    try:
        if is_special(path):
            place = path
            os.stat(path)
        else:
            target = os.path.realpath(path)
            place = os.path.dirname(target)
            if os.path.isdir(target):
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            if not os.path.isdir(place):
                raise FileNotFoundError(errno.ENOENT, f"there is no folder {place}")
        if not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, "permission denied")
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {_reason(error)}") from error


def private_dir(path: str) -> None:
    """Create a folder and its missing parents, each 0700 under any umask; those that exist stay as they are."""
    if not path or os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent != path:
        private_dir(parent)
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise ConfigError(f"cannot create the folder {path}: a file of that name is in the way") from None
    except OSError as error:
        raise ConfigError(f"cannot create the folder {path}: {_reason(error)}") from error


def open_private(path: str) -> int:
    """Open a file of arawn's own to read and write, created 0600 in a private folder; returns the descriptor.

    A symbolic link in its place is refused, and what others could read no longer is.
    """
    private_dir(os.path.dirname(path))
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _BINARY, 0o600)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot open {path}: {_reason(error)}") from error
    check_private(path)
    return descriptor


@contextmanager
def open_private_lock(path: str) -> Iterator[None]:
    """Hold the lock of the file ``path``, waiting as long as another process holds it.

    The lock is a hidden file beside it, since the file itself is replaced; links to one file share one lock.
    """
    folder, name = os.path.split(os.path.realpath(path))
    descriptor = open_private(os.path.join(folder, f".{name}.lock"))
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def read_file(path: str, limit: int, *, private: bool = False) -> bytes:
    """Read a regular file of at most ``limit`` bytes; links are followed. Raises UsageError that names the path.

    What stands in /proc or /sys looks regular, but its size is a lie: that is how it is known. ``private`` refuses a
    file that others than its owner can read or write.
    """
    try:
        _require_regular(path, os.stat(path))  # a device may act on being opened, so look first
        with open(os.open(path, os.O_RDONLY | _NONBLOCK | _BINARY), "rb") as file:
            info = os.fstat(file.fileno())
            _require_regular(path, info)
            if private and _is_open_to_others(info):
                raise UsageError(f"{path} can be read by others", hints=(f"chmod 600 {path}",))
            if info.st_size > limit:
                raise UsageError(f"{path} is too large: {info.st_size:,} bytes, the limit is {limit:,}")
            data = file.read(info.st_size or 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {_reason(error)}") from error
    if len(data) != info.st_size:
        raise UsageError(f"cannot read {path}: its size is not what it says, so it is no regular file")
    return data


def read_named(path: str, limit: int, *, pipe_wait: float = PIPE_WAIT) -> bytes:
    """Read a file that the user named, as ``read_file`` does, or a pipe to its end. Raises UsageError."""
    try:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            return read_file(path, limit)
        with open(open_pipe(path, pipe_wait), "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {_reason(error)}") from error
    if len(data) > limit:
        raise UsageError(f"{path} is too large: the limit is {limit:,} bytes")
    return data


def open_pipe(path: str, wait: float = PIPE_WAIT) -> int:
    """Open a pipe to read; returns the descriptor. Raises UsageError if no program writes to it for so many seconds."""
    return _open_pipe(path, os.O_RDONLY, wait, f"cannot read {path}: it is a pipe, and no program writes to it")


def media_type(data: bytes) -> str:
    """Return the media type of an image, by its first bytes; empty for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


def check_private(path: str) -> str:
    """Remove the rights of group and others from a file; returns the warning that says so, empty if there were none.

    Raises ConfigError when its mode cannot be changed. A file that does not exist is private.
    """
    try:
        info = os.stat(path)
        if not _is_open_to_others(info):
            return ""
        mode = stat.S_IMODE(info.st_mode)
        os.chmod(path, mode & ~_OTHERS)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{path} can be read by others: {_reason(error)}", hints=(f"chmod 600 {path}",)) from error
    return f"{path} could be read by others (mode {mode:04o}); it is now {mode & ~_OTHERS:04o}"


def _replace(target: str, data: bytes, *, private: bool) -> None:
    """Write a complete new version beside ``target`` and rename it into place; on any failure leave no trace."""
    try:
        old = os.lstat(target)
    except FileNotFoundError:
        old = None
    if old is not None:
        _require_replaceable(old)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".arawn-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY
    descriptor = os.open(temporary, flags, 0o600 if private else 0o666)
    try:
        with open(descriptor, "wb") as file:
            _settle(descriptor if os.chmod in os.supports_fd else temporary, old, private=private)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _require_replaceable(info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(info.st_mode):
        raise FileExistsError(errno.EEXIST, "what stands there is no regular file")


def _settle(handle: int | str, old: os.stat_result | None, *, private: bool) -> None:
    """Set owner and mode, before there is anything to read: those of the old version, without what is not private."""
    if old is None and not private:
        return  # as the umask made it
    if old is not None and hasattr(os, "chown") and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(OSError):  # only root can; and ``sudo`` must not take a user's file away
            os.chown(handle, old.st_uid, old.st_gid)
    mode = 0o600 if old is None else stat.S_IMODE(old.st_mode)
    os.chmod(handle, mode & 0o600 if private else mode)


def _sync_folder(folder: str) -> None:
    """Make the rename last; what cannot sync a folder (Windows, some network mounts) still has the whole file."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: str) -> None:
    """Wait for the exclusive lock; closing the descriptor releases it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise ConfigError(f"cannot lock {path}: {_reason(error)}") from error


def _open_pipe(path: str, flags: int, wait: float, complaint: str) -> int:
    """Open a pipe, which takes until its other end is open too: in a thread, since that may never be."""
    from threading import Event, Thread

    opened: list[int | OSError] = []  # the one of both threads that takes it out has it
    given_up = Event()

    def open_it() -> None:
        try:
            opened.append(os.open(path, flags))
        except OSError as error:
            opened.append(error)
        if given_up.is_set():
            with suppress(IndexError):
                late = opened.pop()
                if isinstance(late, int):
                    os.close(late)

    opening = Thread(target=open_it, daemon=True)
    opening.start()
    opening.join(wait)
    given_up.set()
    try:
        found = opened.pop()
    except IndexError:
        raise UsageError(complaint) from None
    if isinstance(found, OSError):
        raise found
    return found


def _require_regular(path: str, info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise UsageError(f"cannot read {path}: it is a folder")
    if not stat.S_ISREG(info.st_mode):
        raise UsageError(f"cannot read {path}: it is not a regular file")


def _is_open_to_others(info: os.stat_result) -> bool:
    """Whether others than the owner have rights; Windows keeps those elsewhere."""
    return os.name != "nt" and bool(stat.S_IMODE(info.st_mode) & _OTHERS)


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
