#!/bin/bash
# marathon 0.13.0 (PyPI, the last release of the Python client of Marathon) cannot send an app that has a constraint from
# Python 3.10 on: its encoder asks for `collections.Iterable`, which Python 3.10 took away, but only for what is not one
# of JSON's own types once it is told apart. Apps without constraints are sent, so programs and their tests pass until the
# first app that names where it may run; that it was read from the server a line before changes nothing. The package
# names no upper bound of Python's version and installs without a word.
#
# Seen with marathon 0.13.0 on Python 3.11:
#   without: {"cmd": "sleep 1", "id": "/a"}
#   with: AttributeError: module 'collections' has no attribute 'Iterable'
#
# What helps: `collections.Iterable = collections.abc.Iterable` before the client is imported.
#
# Fails when that changes. Needs python3 (3.10 or later) with venv, and PyPI.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python"
"$work/python/bin/pip" install -q --disable-pip-version-check marathon==0.13.0
"$work/python/bin/python" - <<'PY' | tee "$work/out"
from marathon.models import MarathonApp

plain = {"id": "/a", "cmd": "sleep 1"}
for name, app in ("without", plain), ("with", plain | {"constraints": [["hostname", "UNIQUE"]]}):
    try:
        print(f"{name}:", MarathonApp.from_json(app).to_json())
    except AttributeError as error:
        print(f"{name}: {type(error).__name__}: {error}")
PY
grep -qx 'without: {"cmd": "sleep 1", "id": "/a"}' "$work/out"
grep -qx "with: AttributeError: module 'collections' has no attribute 'Iterable'" "$work/out"
