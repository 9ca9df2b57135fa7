import os
import threading

import pytest

from skcap.utils.files import check_file_target, replacing, write_text


def test_a_link_leads_to_the_file_that_is_replaced(tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_who_may_read_a_file_stays(tmp_path):
    path = tmp_path / "private.txt"
    path.write_text("old")
    path.chmod(0o600)
    write_text(path, "new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_to_nothing_makes_its_file(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "target.txt").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(pipe, "through")
    reader.join(10)
    assert got == ["through"]
    assert pipe.is_fifo()


def test_a_device_stays_one():
    write_text(os.devnull, "gone")
    assert not os.path.isfile(os.devnull)


def test_what_cannot_be_written_is_told_before(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_file_target(tmp_path)
    path = tmp_path / "no" / "file.txt"
    with pytest.raises(FileNotFoundError, match=f"no folder {tmp_path / 'no'}"), replacing(path):
        pytest.fail("the work has begun")
