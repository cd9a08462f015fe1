"""The numbers of the advisory locks that keep two processes from the same work at once.

They are the same in all versions, as processes of several run side by side. Any numbers would do that no other user of the
database takes.
"""

from __future__ import annotations

MIGRATION = 7_402_113_995
PARTITION = 7_402_113_996
LEDGER_FOLDING = 7_402_113_997
GENERATION = 7_402_113_998
RULES = 7_402_113_999
GPU_PLACE = 7_402_114_000
JOINING = 7_402_114_001
USAGE = 7_402_114_002
TALLY_FOLDING = 7_402_114_011
AUDIT = 7_402_114_012
JUDGING = 7_402_114_018
NOTICES = 7_402_114_019
SEALING = 7_402_114_020
RETENTION = 7_402_114_030
OLD_ROWS = 7_402_114_031
ARCHIVE = 7_402_114_032
