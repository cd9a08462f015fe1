"""Whether somebody may still write to a file: the kernel knows who has it open.

Who writes to a log that was renamed or deleted often does so minutes apart, as exporters do between two scrapes. A file that
is quiet is not closed by that.
"""

from __future__ import annotations

import fcntl
import signal

# Sent to us if a writer comes in the moment in which the lease is held. By default it is ignored; the kernel's own choice,
# SIGIO, would end the process.
HARMLESS = signal.SIGURG
# So many times as long a file must have been quiet where nobody can say whether it is open to write.
UNSURE = 60


def is_closed(fd: int, quiet_s: float, after_s: float, unsure: int = UNSURE) -> bool:
    """Whether nothing more will be written to a file that was quiet for some time, and that nobody opens anew."""
    if quiet_s < after_s:
        return False
    writes = has_writer(fd)
    return quiet_s >= unsure * after_s if writes is None else not writes


def has_writer(fd: int) -> bool | None:
    """Whether a process of this machine has the file of a descriptor open to write. None if that cannot be known.

    The kernel grants a lease for reading where there is no writer, to the owner of the file and to root: see fcntl(2). Not on
    NFS, and not outside Linux.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, HARMLESS)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
