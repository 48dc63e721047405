"""Commits rows to a SQLite database with a write-ahead log for ever, and says each when it is committed: sqlite-committer.py DATABASE"""
import random
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute("PRAGMA wal_autocheckpoint=100")
database.execute("CREATE TABLE told (number INTEGER PRIMARY KEY, filler BLOB)")
number = 0
while True:
    number += 1
    database.execute("INSERT INTO told VALUES (?, ?)", (number, random.randbytes(random.randrange(2000))))
    print(number, flush=True)
