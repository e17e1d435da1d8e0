"""Makes the archives beside it with Python's tarfile and zipfile: python3 make.py. Their bytes do not depend on the day."""
import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent


def entry(name, content=b"content", kind=tarfile.REGTYPE, link="", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def tgz(stem, entries, form=tarfile.GNU_FORMAT):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    (HERE / f"{stem}.tgz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def zipped(stem, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(HERE / f"{stem}.zip", "w", method) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            archive.writestr(info, content)


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
first = entry("first.txt")
tgz("parent", [first, entry("../outside.txt")])
tgz("parent-deep", [first, entry("a/b/../../../outside.txt")])
tgz("absolute", [first, entry("/outside.txt")])
tgz("drive", [first, entry("C:\\outside.txt")])
tgz("drive-stroke", [first, entry("C:/outside.txt")])
tgz("link-out", [first, entry("a", kind=LINK, link="../outside")])
tgz("link-absolute", [first, entry("a", kind=LINK, link="/etc/passwd")])
tgz("through-link", [first, entry("a", kind=LINK, link="."), entry("a/outside.txt")])
tgz("through-link-out", [first, entry("a", kind=LINK, link=".."), entry("a/outside.txt")])
tgz("over-link", [first, entry("a", kind=LINK, link="first.txt"), entry("a")])
tgz("hard-out", [first, entry("a", kind=HARD, link="../outside.txt")])
tgz("hard-absolute", [first, entry("a", kind=HARD, link="/etc/passwd")])
tgz("hard-missing", [first, entry("a", kind=HARD, link="later.txt"), entry("later.txt")])
tgz("fifo", [first, entry("a", kind=tarfile.FIFOTYPE)])
tgz("device", [first, entry("a", kind=tarfile.CHRTYPE)])
tgz("twice", [first, entry("first.txt", b"other")])
tgz("file-and-folder", [first, entry("first.txt/below.txt")])
tgz("folder-and-file", [entry("a/below.txt"), entry("a")])
tgz("bomb", [first, entry("zeros", bytes(40 << 20))])
tgz("sparse-name", [first, entry("n" * 300)])
long = "/".join(["a-folder-with-a-long-name"] * 8) + "/file.txt"
good = [
    entry("./", kind=tarfile.DIRTYPE), entry("top", kind=tarfile.DIRTYPE), entry("top/plain.txt"),
    entry("top/setuid.txt", mode=0o6777), entry("top/Plain.txt", b"other case"), entry("top/inner.tar", b"not entered"),
    entry("top/link.txt", kind=LINK, link="../" + long), entry("top/chain.txt", kind=LINK, link="link.txt"),
    entry("top/hard.txt", kind=HARD, link="top/plain.txt"), entry("top/nowhere", kind=LINK, link="nothing"),
    entry("top/folder", kind=LINK, link="../top"), entry(long, b"deep"), entry("top/empty.txt", b""),
]
tgz("good", good)
tgz("good-pax", good, tarfile.PAX_FORMAT)

FILE = stat.S_IFREG | 0o644
zipped("parent", [("first.txt", "content", FILE), ("../outside.txt", "content", FILE)])
zipped("absolute", [("first.txt", "content", FILE), ("/outside.txt", "content", FILE)])
zipped("drive", [("first.txt", "content", FILE), ("C:\\outside.txt", "content", FILE)])
zipped("link-out", [("first.txt", "content", FILE), ("a", "../outside", stat.S_IFLNK | 0o777)])
zipped("through-link", [("a", "..", stat.S_IFLNK | 0o777), ("a/outside.txt", "content", FILE)])
zipped("fifo", [("first.txt", "content", FILE), ("a", "", stat.S_IFIFO | 0o644)])
zipped("file-and-folder", [("first.txt", "content", FILE), ("first.txt/below.txt", "content", FILE)])
zipped("bomb", [("first.txt", "content", FILE), ("zeros", bytes(40 << 20), FILE)])
zipped("good", [
    ("top/", "", stat.S_IFDIR | 0o755), ("top/plain.txt", "content", FILE), ("top/setuid.txt", "content", stat.S_IFREG | 0o6777),
    ("top/Plain.txt", "other case", FILE), ("top/link.txt", "plain.txt", stat.S_IFLNK | 0o777), ("top/none.txt", "content", 0),
    ("top/nowhere", "nothing", stat.S_IFLNK | 0o777), ("top/empty.txt", "", FILE),
])
zipped("stored", [("plain.txt", "content", FILE)], zipfile.ZIP_STORED)
import warnings  # noqa: E402

warnings.simplefilter("ignore")
zipped("twice", [("first.txt", "content", FILE), ("first.txt", "other", FILE)])
