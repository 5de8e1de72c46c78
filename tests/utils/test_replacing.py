import errno
import os
import threading
from pathlib import Path

import pytest

from skal.utils import replacing as module
from skal.utils.replacing import locked, naming, replacing

fcntl = pytest.importorskip("fcntl", reason="only Unix has such locks")
LEFT = ".skal-0123456789abcdef.tmp"


def write(path, data=b"new"):
    with replacing(path) as file:
        file.write(data)


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / LEFT).write_bytes(bytes(1000))
    write(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_the_file_of_a_living_writer_stays(tmp_path):
    with replacing(tmp_path / "a") as slow:
        slow.write(b"slow")
        (written,) = names(tmp_path)
        for _ in range(2):
            write(tmp_path / "b")
            assert names(tmp_path) == [written, "b"]
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"slow"


def test_files_of_others_stay(tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.touch()
    (folder / LEFT).symlink_to(elsewhere)
    others = [".skal-0123.tmp", ".skal-0123456789abcdeg.tmp", "x.skal-0123456789abcdef.tmp", LEFT + "~"]
    for name in others:
        (folder / name).touch()
    (folder / LEFT.replace("0", "a")).mkdir()
    before = names(folder)
    write(folder / "a")
    assert names(folder) == sorted([*before, "a"])
    assert elsewhere.exists()
    (folder / LEFT.replace("0", "b")).touch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    write(folder / "a")
    assert LEFT.replace("0", "b") in names(folder)


@pytest.mark.parametrize("function", ["os.scandir", "os.open", "fcntl.flock"])
def test_a_failure_to_clean_up_fails_nothing(tmp_path, monkeypatch, function):
    def fail(*args):
        raise PermissionError(errno.EPERM, "not here")

    (tmp_path / LEFT).touch()
    with monkeypatch.context() as patch:
        patch.setattr(function, fail)
        write(tmp_path / "a")
    assert names(tmp_path) == [LEFT, "a"]
    write(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_a_file_that_is_removed_before_its_lock_is_made_again(tmp_path, monkeypatch):
    """Another process may see it in between, and take it for one without a writer."""
    flock, seen = fcntl.flock, []

    def late(file, operation):
        if operation == fcntl.LOCK_EX and not seen:
            seen.extend(tmp_path.iterdir())
            seen[0].unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write(tmp_path / "a")
    assert names(tmp_path) == ["a"]
    assert len(seen) == 1


def test_threads_that_write_to_one_folder(tmp_path):
    errors = []

    def work(number):
        try:
            for round_ in range(40):
                write(tmp_path / str(round_ % 3), bytes([number]) * 1000)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert names(tmp_path) == ["0", "1", "2"]
    assert all(len(set(path.read_bytes())) == 1 for path in tmp_path.iterdir())


@pytest.mark.parametrize("function", ["os.fsync", "os.replace"])
def test_a_full_disk_names_the_file(tmp_path, monkeypatch, function):
    def fail(*args):
        names = (str(args[0]), None, str(args[1])) if len(args) == 2 else ()
        raise OSError(errno.ENOSPC, "No space left on device", *names)

    monkeypatch.setattr(function, fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*net.skal'$") as caught:
        write(tmp_path / "net.skal")
    assert caught.value.filename == str(tmp_path / "net.skal")
    assert not names(tmp_path)


def test_a_folder_that_cannot_be_written_to_names_the_file(tmp_path, monkeypatch):
    def fail(path, mode):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(module, "open", fail, raising=False)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*net.skal'$"):
        write(tmp_path / "net.skal")


def test_an_error_keeps_the_name_that_it_has():
    with pytest.raises(FileNotFoundError, match=r"'image\.png'"), naming("cache.npy"):
        Path("image.png").read_bytes()
    with pytest.raises(OSError, match=r"^odd$"), naming("cache.npy"):
        raise OSError("odd")


def test_a_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with replacing(path) as file:
        file.write(b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_lock_ends_with_its_block_though_a_process_was_forked_inside(tmp_path):
    waits, end = os.pipe()
    with locked(tmp_path):
        child = os.fork()
        if not child:
            os.close(end)
            os.read(waits, 1)
            os._exit(0)
    os.close(waits)
    is_free = threading.Event()

    def lock_again():
        with locked(tmp_path):
            is_free.set()

    thread = threading.Thread(target=lock_again)
    thread.start()
    try:
        assert is_free.wait(10)
    finally:
        os.close(end)  # the child ends
        os.waitpid(child, 0)
        thread.join()
