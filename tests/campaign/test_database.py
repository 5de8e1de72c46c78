"""The file of a journal: what is refused, and that nothing is lost when the disk or the folder refuses."""

import errno
import os
import shutil
import sqlite3
import tempfile
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from skal.campaign import Campaign
from skal.campaign.database import FILE, Database
from skal.campaign.schema import MIGRATIONS
from skal.exceptions import JournalError

from .common import TRUTH, X, begun
from .test_training import label

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)  # of fork


@pytest.fixture
def folder(tmp_path):
    with begun(tmp_path) as campaign:
        label(campaign, 8)
    return tmp_path


def test_no_campaign(tmp_path):
    with pytest.raises(JournalError, match="holds no campaign"):
        Campaign.open(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FILE).touch()
    with pytest.raises(JournalError, match="never begun"):
        Campaign.open(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert (tmp_path / FILE).stat().st_size
    begun(tmp_path).close()  # a creation that was killed is done again
    Campaign.open(tmp_path).close()


def test_foreign_database(tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    before = (tmp_path / FILE).read_bytes()
    for attempt in (lambda: Campaign.open(tmp_path), lambda: begun(tmp_path)):
        with pytest.raises(JournalError, match="another program"):
            attempt()
    assert (tmp_path / FILE).read_bytes() == before


def test_newer_database(folder):
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match=r"version 99 .* Update skal"):
        Campaign.open(folder)


@pytest.mark.parametrize("size", [1, 100, 4096, 20_000])
def test_truncated_database(folder, size):
    with open(folder / FILE, "r+b") as file:
        file.truncate(size)
    with pytest.raises(JournalError, match=r"damaged or truncated|another program"):
        Campaign.open(folder)


def test_damaged_database(folder):
    data = bytearray((folder / FILE).read_bytes())
    data[5 * 4096 : 12 * 4096] = np.random.default_rng(0).bytes(7 * 4096)
    (folder / FILE).write_bytes(data)
    with pytest.raises(JournalError, match=r"recover"):
        Campaign.open(folder)


def test_text_in_place_of_a_database(tmp_path):
    (tmp_path / FILE).write_text("I am no database at all, and longer than a header. " * 10)
    with pytest.raises(JournalError, match="no database"):
        Campaign.open(tmp_path)


def test_every_commit_is_written_through(folder):
    with Campaign.open(folder) as campaign, campaign._database.glance() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_full_disk_loses_nothing(folder):
    with Campaign.open(folder, training=None) as campaign:
        with campaign._database.glance() as connection:
            (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {n_pages}")
        n_before, written = len(campaign.answers()["row"]), 1
        campaign.answer("bob", 0, 1)
        with pytest.raises(OSError, match="No space is left") as caught:  # noqa: PT012
            while True:
                campaign.correct("bob", 0, int(written % 2 == 0))
                written += 1
        assert caught.value.filename.endswith(FILE)
        assert len(campaign.answers()["row"]) == n_before + written
        with campaign._database.glance() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        campaign.correct("bob", 0, int(written % 2 == 0))
        assert len(campaign.answers()["row"]) == n_before + written + 1


def test_an_interrupt_while_a_transaction_waits_to_begin_leaves_none_open(folder, monkeypatch):
    class Interrupted(sqlite3.Connection):
        is_interrupted = False

        def execute(self, statement, *values):
            found = super().execute(statement, *values)
            if statement == "BEGIN IMMEDIATE" and Interrupted.is_interrupted:  # Python tells of Ctrl-C then
                Interrupted.is_interrupted = False
                raise KeyboardInterrupt
            return found

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Interrupted))
    with Campaign.open(folder, training=None) as campaign, Campaign.open(folder, training=None) as other:
        Interrupted.is_interrupted = True
        with pytest.raises(KeyboardInterrupt):
            campaign.answer("bob", 1, 1)
        campaign.answer("bob", 2, 1)
        other.answer("bob", 3, 1)
        assert campaign.progress().by_annotator["bob"]["n_labels"] == 2


def test_a_journal_that_another_program_holds_is_an_error_of_the_system(folder, monkeypatch):
    monkeypatch.setattr("skal.campaign.database._PATIENCE", 0.1)
    with Campaign.open(folder, training=None) as campaign, closing(sqlite3.connect(folder / FILE)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match=r"Another program holds .* Nothing .* Try again") as caught:
            campaign.answer("bob", 1, 1)
        assert (caught.value.errno, caught.value.filename) == (errno.EBUSY, str(folder / FILE))
        shell.rollback()
        assert campaign.answer("bob", 2, 1).progress().by_annotator["bob"]["n_labels"] == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of POSIX")
def test_a_disk_that_takes_no_more(folder, tmp_path):
    """A limit of the file's size, which the system's own calls refuse to pass."""
    child = os.fork()
    if not child:
        import resource

        try:
            campaign, n = Campaign.open(folder, training=None), 1
            campaign.answer("bob", 0, 1)
            most = os.path.getsize(folder / f"{FILE}-wal") + 30_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            for row in range(1, 60):
                campaign.answer("bob", row, 1)
                n += 1
        except OSError as error:
            (tmp_path / "told").write_text(f"{n} {error}")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    told = (tmp_path / "told").read_text()
    assert "nothing of this call was recorded" in told.lower()
    with Campaign.open(folder) as campaign:
        assert campaign.progress().by_annotator["bob"]["n_labels"] == int(told.split()[0]) < 60


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    connect = sqlite3.connect

    def read_only(path, *args, **kwargs):
        return connect(f"file:{path}?mode=ro", *args, uri=True, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with Campaign.open(folder, training=None) as campaign:
        with pytest.raises(PermissionError, match="Make the folder and all files in it writable"):
            campaign.answer("bob", 1, 1)
        assert campaign.progress().n_labelled == 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="users of POSIX")
@pytest.mark.parametrize("training", [None, "background", "foreground"])
def test_a_read_only_folder(training):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "c"
        with begun(folder) as campaign:
            label(campaign, 8)
        for path in [*folder.rglob("*"), folder]:
            path.chmod(0o555)
        Path(place).chmod(0o777)
        child = os.fork()
        if not child:
            try:
                if not os.geteuid():
                    os.setuid(65534)  # root may write everywhere
                told = "it was written"
                Campaign.open(folder, X, training=training).answer("bob", 1, 1)
            except BaseException as error:
                told = f"{type(error).__name__} {error}"
            finally:
                (Path(place) / "told").write_text(told)
                os._exit(0)
        os.waitpid(child, 0)
        assert (Path(place) / "told").read_text().startswith("PermissionError")
        assert "Make the folder and all files in it writable" in (Path(place) / "told").read_text()
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)
        with Campaign.open(folder) as campaign:
            assert campaign.progress().n_labelled == 8


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_journal_that_was_moved_away_takes_no_answers(folder, tmp_path_factory, is_replaced):
    """A backup is put in place while a page has the campaign open; nobody would find what it writes."""
    away = tmp_path_factory.mktemp("away") / "old"
    with Campaign.open(folder, training=None) as campaign:
        campaign.answer("bob", 1, 1)
        shutil.copytree(folder, away.with_name("copy"))
        folder.rename(away)
        if is_replaced:
            away.with_name("copy").rename(folder)
        for _ in range(2):
            with pytest.raises(
                JournalError, match=r"renamed, removed or replaced .* Campaign\.open\(folder, X\)"
            ):
                campaign.answer("bob", 2, 1)
    with Campaign.open(folder if is_replaced else away, training=None) as campaign:
        campaign.answer("bob", 3, 1)
        assert campaign.progress().by_annotator["bob"]["n_labels"] == 2


@pytest.mark.parametrize("what", ["folder", "journal", "replaced"])
@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
def test_a_journal_that_was_moved_away_is_not_read(folder, tmp_path_factory, what, is_closed):
    """Labels of one journal and settings of another would be mixed; and no empty journal is left there."""
    away = tmp_path_factory.mktemp("away")
    with Campaign.open(folder, training=None) as campaign:
        shutil.copytree(folder, away / "copy")
        if is_closed:
            campaign.close()
        (folder / FILE if what == "journal" else folder).rename(away / "old")
        if what == "replaced":
            (away / "copy").rename(folder)
        if what == "replaced" and is_closed:
            assert campaign.progress().n_labelled == 8  # there is what it left
            return
        asked = (campaign.progress, campaign.labels, campaign.answers, lambda: campaign.settings)
        for question in (*asked, lambda: campaign.answer("bob", 2, 1)):
            with pytest.raises(JournalError, match="renamed, removed or replaced"):
                question()
        assert (folder / FILE).exists() == (what == "replaced")


def test_a_migration_is_whole_or_not_there(folder):
    good = "CREATE TABLE notes (note TEXT);\nINSERT INTO notes VALUES ('one');\n"
    bad = good + "INSERT INTO no_such_table VALUES (1);\n"
    with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
        Database(folder, migrations=(*MIGRATIONS, bad))
    with Campaign.open(folder) as campaign:
        assert campaign.progress().n_labelled == 8
    Database(folder, migrations=(*MIGRATIONS, good)).close()
    Database(folder, migrations=(*MIGRATIONS, good)).close()
    connection = sqlite3.connect(folder / FILE)
    assert connection.execute("SELECT note FROM notes").fetchall() == [("one",)]
    connection.close()
    with pytest.raises(JournalError, match="Update skal"):
        Campaign.open(folder)


def test_threads_share_a_campaign(tmp_path):
    with begun(tmp_path, n_annotators_per_row=2, retrain_every=15) as campaign:
        failures = []

        def work(name):
            try:
                while len(rows := campaign.next(name, 2)):
                    campaign.answer(name, rows, TRUTH[rows])
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("anna", "bob", "cleo", "dora")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert campaign.progress().n_answers == 120
        assert (campaign.consensus()["n_answers"] == 2).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_a_connection_of_its_own(folder):
    with Campaign.open(folder, training=None) as campaign:
        campaign.answer("bob", 1, 1)
        child = os.fork()
        if not child:
            status = 1
            try:
                campaign.answer("cleo", 2, 1)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        campaign.answer("bob", 3, 1)
        assert campaign.annotators == ["anna", "bob", "cleo"]


def test_an_older_journal_queues_late_answers_from_now_on(tmp_path, monkeypatch):
    monkeypatch.setattr(Database.__init__, "__kwdefaults__", {"create": False, "migrations": MIGRATIONS[:2]})
    begun(tmp_path, n_annotators_per_row=2).answer("anna", 1, 1).close()
    monkeypatch.undo()
    with Campaign.open(tmp_path, X, training=None) as campaign:
        assert campaign.answer("anna", 2, 1).queue().tolist() == [2]
        assert campaign.withdraw("anna", [1, 2]).answer("anna", 1, 1).queue().tolist() == [2, 1]
