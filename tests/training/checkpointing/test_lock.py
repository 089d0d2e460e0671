"""One run in one directory."""

import json
import os
import socket

import pytest

import jaxgraphs as jg
from jaxgraphs.training.checkpointing.lock import Lock

DEAD = 2**22 + 7  # Linux gives no process such a number.


def test_the_second_is_refused_until_the_first_ends(tmp_path):  # oracle: the error
    first = Lock(tmp_path)
    with pytest.raises(jg.GraphValueError, match=f"process {os.getpid()} on {socket.gethostname()}"):
        Lock(tmp_path)
    first.release()
    Lock(tmp_path).release()


def test_a_lock_file_alone_locks_nothing(tmp_path):  # oracle: a killed run leaves its file
    (tmp_path / ".lock").write_text('{"pid": 1, "host": "elsewhere"}')
    Lock(tmp_path).release()


def test_a_dead_run_whose_child_lives_is_recovered(tmp_path):  # oracle: the lock can be had, once
    orphan = Lock(tmp_path)
    (tmp_path / ".lock").write_text(json.dumps({"pid": DEAD, "host": socket.gethostname()}))
    second = Lock(tmp_path)
    with pytest.raises(jg.GraphValueError, match=f"process {os.getpid()}"):
        Lock(tmp_path)
    orphan.release()
    second.release()


def test_the_dead_of_other_machines_are_not_known(tmp_path):  # oracle: the error
    holder = Lock(tmp_path)
    (tmp_path / ".lock").write_text(json.dumps({"pid": DEAD, "host": "elsewhere"}))
    with pytest.raises(jg.GraphValueError, match=f"process {DEAD} on elsewhere"):
        Lock(tmp_path)
    holder.release()
