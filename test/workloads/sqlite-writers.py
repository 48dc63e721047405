#!/usr/bin/env python3
"""Three processes that write to one SQLite database with a write-ahead log until they are ended: sqlite-writers.py DIRECTORY SEED"""
import os, random, sqlite3, sys

directory, seed = sys.argv[1], int(sys.argv[2])
path = os.path.join(directory, "database")
first = sqlite3.connect(path)
first.execute("PRAGMA journal_mode=WAL")
first.execute("CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, content BLOB)")
first.commit()
first.close()

for writer in range(2):
    if os.fork() == 0:
        seed += 1 + writer
        break
rnd = random.Random(seed)
database = sqlite3.connect(path, timeout=60, isolation_level=None)
database.execute("PRAGMA wal_autocheckpoint=200")
while True:
    database.execute("BEGIN IMMEDIATE")
    for _ in range(rnd.randrange(1, 20)):
        if rnd.randrange(3) == 0:
            database.execute("DELETE FROM entries WHERE number = ?", (rnd.randrange(5000),))
        else:
            database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (rnd.randrange(5000), rnd.randbytes(rnd.randrange(3000))))
    database.execute("COMMIT" if rnd.randrange(10) else "ROLLBACK")
