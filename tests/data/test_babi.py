"""bAbI's files in each form, whole and broken."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgraphs.data import babi
from jaxgraphs.data.questions import Example
from jaxgraphs.errors import GraphValueError

TRAIN = b"""1 Mary moved to the bathroom.
2 John got the milk.
3 Where is Mary? \tbathroom\t1
4 John took the football.
5 What is John carrying? \tmilk,football\t2 4
1 The office is east of the hall.
2 How do you go from the hall to the office?\te\t1
"""
TEST = b"1 Mary is here.\n2 Where is Mary?\there\t1\n"
MARY, JOHN, BALL = "Mary moved to the bathroom.", "John got the milk.", "John took the football."
EXAMPLES = [
    Example((MARY, JOHN), "Where is Mary?", "bathroom", (0,)),
    Example((MARY, JOHN, BALL), "What is John carrying?", "milk,football", (1, 2)),
    Example(("The office is east of the hall.",), "How do you go from the hall to the office?", "e", (0,)),
]
FILES = {"qa8_lists-sets_train.txt": TRAIN, "qa8_lists-sets_test.txt": TEST}


def archive(path, files, opened=gzip.open):
    with opened(path, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def place(form, path):
    """bAbI under `path` in one of its forms; the path to load."""
    if form.endswith("tar.gz") or form == "tar":
        files = {f"tasks_1-20_v1-2/en/{name}": data for name, data in FILES.items()}
        files |= {f"tasks_1-20_v1-2/hn/{name}": b"1 other\n" for name in FILES}
        return archive(path / f"babi.{form}", files, open if form == "tar" else gzip.open)
    folder = path / {"above": "tasks_1-20_v1-2/en", "whole": "en"}.get(form, ".")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return path / "qa8_lists-sets_train.txt" if form == "file" else path


@pytest.mark.parametrize("form", ["above", "whole", "here", "file", "tar.gz", "tar"])
def test_every_form_gives_the_same(form, tmp_path):  # oracle: examples read by hand
    task = 1 if form == "file" else 8
    stories = babi.load(place(form, tmp_path), task=task, size=1_000)
    assert list(stories.train) == EXAMPLES
    assert [example.answer for example in stories.test] == ["here"]
    assert (stories.name, stories.faults) == ("qa8_lists-sets", ())


def test_only_supporting(tmp_path):  # oracle: by hand
    stories = babi.load(place("here", tmp_path), task=8, only_supporting=True)
    assert [example.story for example in stories.train] == [(MARY,), (JOHN, BALL), EXAMPLES[2].story]


@pytest.mark.parametrize(
    "change",
    [lambda data: b"\xef\xbb\xbf" + data, lambda data: data.replace(b"\n", b"\r\n"), lambda data: data + b"\n \n"],
    ids=["byte-order mark", "CRLF", "blank lines"],
)
def test_harmless_unlikeness(change):  # oracle: the plain file
    assert babi.parse(change(TRAIN), "told") == (EXAMPLES, [])


@pytest.mark.parametrize(
    ("old", "new", "line", "reason", "left"),
    [
        # A sentence that is lost takes the later questions of its story with it.
        (b"1 Mary moved", b"Mary moved", 1, "begins with 'Mary'", EXAMPLES[2:]),
        (b"2 John got", b"3 John got", 2, "line number 2 is due", EXAMPLES[2:]),
        (b"4 John took", b"4 J\xffhn took", 4, "not UTF-8", [EXAMPLES[0], EXAMPLES[2]]),
        (b"2 John got the milk.", b"2", 2, "has no sentence", EXAMPLES[2:]),
        # A broken question is alone.
        (b"\tbathroom\t1", b"\t", 3, "is not a question", EXAMPLES[1:]),
        (b"\tbathroom\t1", b"\t\t1", 3, "is not a question", EXAMPLES[1:]),
        (b"\tbathroom\t1", b"\tbathroom\t1\t2", 3, "is not a question", EXAMPLES[1:]),
        (b"\tbathroom\t1", b"\tbathroom\tone", 3, "rests on line one", EXAMPLES[1:]),
        (b"\t2 4\n", b"\t2 3\n", 5, "rests on line 3", [EXAMPLES[0], EXAMPLES[2]]),
        (b"\te\t1", b"\te\t9", 7, "rests on line 9", EXAMPLES[:2]),
        (b"2 How", b"9 How", 7, "line number 2 is due", EXAMPLES[:2]),
    ],
)
def test_broken_lines(
    old, new, line, reason, left, tmp_path
):  # oracle: the line broken by hand, and what stands without
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data.replace(old, new))
    with pytest.raises(GraphValueError, match=reason):
        babi.load(tmp_path, task=8)
    stories = babi.load(tmp_path, task=8, on_error="skip")
    assert list(stories.train) == left
    assert [fault.line for fault in stories.faults] == [line]
    assert reason in str(stories.faults[0])


PIECES = (b"1", b"2", b"3", b" ", b"\t", b"\n", b"\r", b"Ann", b"?", b"\xff", b"1 Ann ran.\n", b"2 Who?\tAnn\t1\n")


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
def test_any_bytes_are_examples_or_faults(data):  # oracle: supports lie in the story, each fault on one line
    examples, faults = babi.parse(data, "told")
    assert all(0 <= index < len(example.story) for example in examples for index in example.supporting)
    assert len({fault.line for fault in faults}) == len(faults) <= data.count(b"\n") + 1


def corrupt(path, form):
    """An archive that is torn, is none, holds no task or unpacks to too much."""
    if form == "torn":
        whole = archive(path, FILES).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif form == "none":
        path.write_bytes(b"not an archive")
    elif form == "link":
        with tarfile.open(path, "w:gz") as tar:
            member = tarfile.TarInfo("en/qa8_lists-sets_train.txt")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
            tar.addfile(member)
    return path


@pytest.mark.parametrize(
    ("form", "text"), [("torn", "cannot be read"), ("none", "cannot be read"), ("link", "not all here")]
)
def test_broken_archives(form, text, tmp_path):  # oracle: the words of the message
    with pytest.raises(GraphValueError, match=text):
        babi.load(corrupt(tmp_path / "babi.tar.gz", form), task=8, size=1_000)


def test_an_archive_cannot_fill_the_memory(tmp_path, monkeypatch):  # oracle: the words of the message
    monkeypatch.setattr(babi, "_MOST_BYTES", 10_000)
    bomb = archive(tmp_path / "babi.tgz", {"en/qa8_lists-sets_train.txt": bytes(100_000)})
    assert bomb.stat().st_size < 1_000
    with pytest.raises(GraphValueError, match="more than bAbI holds"):
        babi.load(bomb, task=8, size=1_000)


def test_a_missing_half_is_named(tmp_path):  # oracle: the words of the message
    (tmp_path / "qa8_lists-sets_train.txt").write_bytes(TRAIN)
    for path, task in ((tmp_path, 8), (tmp_path / "qa8_lists-sets_train.txt", 1)):
        with pytest.raises(GraphValueError, match=r"expected: qa8_..._test.txt"):
            babi.load(path, task=task)
    with pytest.raises(GraphValueError, match="Task 3 of bAbI is not all here"):
        babi.load(tmp_path, task=3)


def test_user_errors(tmp_path):  # oracle: the words of the message
    with pytest.raises(GraphValueError, match="nothing there"):
        babi.load(tmp_path / "nowhere")
    with pytest.raises(GraphValueError, match="no such size"):
        babi.load(tmp_path, size=500)


@pytest.mark.parametrize("task", range(1, 21))
def test_real_stories(task, real_data):  # oracle: the published counts, and a plain cut of the file by tabs
    stories = babi.load(real_data / "babi", task=task, size=1_000)
    assert (len(stories.train), len(stories.test), stories.faults) == (1_000, 1_000, ())
    text = next((real_data / "babi/en").glob(f"qa{task}_*_test.txt")).read_text()
    asked = [line.split("\t") for line in text.splitlines() if "\t" in line]
    assert [example.answer for example in stories.test] == [fields[1].strip() for fields in asked]
    assert [len(example.supporting) for example in stories.test] == [len(fields[2].split()) for fields in asked]
    questions = babi.encode(stories)
    assert 0 < questions.majority() < 0.7
    assert not (questions.train.inputs["text"] == 1).any()


def test_real_task_one_supports_name_the_place(real_data):  # oracle: the answer stands in its supporting sentence
    for example in babi.load(real_data / "babi", task=1, only_supporting=True).train:
        assert example.answer in example.story[-1]
