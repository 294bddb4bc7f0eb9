"""Usage: ask.py COUNT URL: that many requests with `requests`, on one connection."""

import sys

import requests

with requests.Session() as session:
    session.trust_env = False
    for _ in range(int(sys.argv[1])):
        session.get(sys.argv[2], timeout=10).raise_for_status()
