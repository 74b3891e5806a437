"""Archives, packages, disk images, keys: by the programs that people use for them."""

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Final

# Run in a folder with `a.txt` and `photo.png`.
_COMMANDS: Final = """
7z a -bso0 archive.7z a.txt
7z a -bso0 -psecret -mhe=on secret.7z a.txt
7z a -bso0 -v200b pieces.7z photo.png a.txt
arj a -i archive.arj a.txt
gzip -kn -c a.txt > a.txt.gz
bzip2 -c a.txt > a.txt.bz2
xz -c a.txt > a.txt.xz
xz -c --format=lzma a.txt > a.txt.lzma
zstd -qc a.txt > a.txt.zst
lzip -c a.txt > a.txt.lz
brotli -c a.txt > a.txt.br
tar cf archive.tar a.txt
tar czf archive.tgz a.txt
tar cJf archive.txz a.txt
tar cf - a.txt | gzip -n > really-a-gzip.tar
tar cf really-a-tar.tgz a.txt
bsdtar --format cpio -cf archive.cpio a.txt
ar rc archive.a a.txt
gcab -cn archive.cab a.txt
genisoimage -quiet -o disc.iso a.txt
mksquashfs a.txt image.squashfs -quiet -no-progress
qemu-img create -q -f vpc fixed.vhd 1M -o subformat=dynamic
qemu-img create -q -f vhdx disk.vhdx 1M
qemu-img create -q -f vmdk disk.vmdk 1M
qemu-img create -q -f qcow2 disk.qcow2 1M
qemu-img create -q -f vdi disk.vdi 1M
sqlite3 data.sqlite "CREATE TABLE a (b)"
sqlite3 data.db "CREATE TABLE a (b)"
sqlite3 map.gpkg "PRAGMA application_id = 1196444487; CREATE TABLE gpkg_contents (a)"
git init -q r; git -C r -c user.name=a -c user.email=a commit -qm a --allow-empty
git -C r bundle create ../history.bundle HEAD
openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=a -keyout private.key -out server.crt
openssl x509 -in server.crt -outform DER -out server.cer
openssl x509 -in server.crt -outform DER -out server.der
openssl rsa -in private.key -pubout -outform DER -out binary.key
openssl rsa -in private.key -pubout -out public.key
openssl req -new -key private.key -subj /CN=a -out request.csr
cat public.key server.crt > both.pem
openssl pkcs12 -export -passout pass:a -inkey private.key -in server.crt -out both.p12
openssl smime -sign -in a.txt -signer server.crt -inkey private.key -outform DER -out mail.p7s
openssl smime -sign -in a.txt -signer server.crt -inkey private.key -out signed.eml
ssh-keygen -q -t ed25519 -N "" -f id_ed25519 -C a; mv id_ed25519.pub ssh.pub
gpg --homedir g --batch --passphrase "" --quick-gen-key a ed25519
gpg --homedir g --batch --passphrase "" --detach-sign -o binary.sig a.txt
gpg --homedir g --batch --passphrase "" --armor --detach-sign -o armored.asc a.txt
gpg --homedir g --batch --passphrase "" --armor --detach-sign -o armored.sig a.txt
gpg --homedir g --batch --passphrase "" --export -o binary.gpg
gpg --homedir g --batch --passphrase "" --export -o binary.skr
gpg --homedir g --batch --passphrase "" --armor --export -o armored.pkr
gpg --homedir g --batch --passphrase a --symmetric -o secret.pgp a.txt
dtc -q -I dts -O dtb -o board.dtb board.dts
javac A.java
jar cf library.jar A.class
jar cfe starts.jar A A.class
dpkg-deb -b deb package.deb
rpmbuild --quiet -bb --define "_topdir %(pwd)/rpm" --define "_rpmdir %(pwd)" package.spec
cc -x c -shared -o library.so /dev/null
cc -x c -c -o object.o /dev/null
rm private.key
""".strip()


def make(to: Path) -> None:
    (to / "a.txt").write_text("This is a text, of a few words.\n" * 20)
    (to / "board.dts").write_text('/dts-v1/;\n/ {\n\tcompatible = "a,b";\n};\n')
    (to / "A.java").write_text(
        'public class A {\n  public static void main(String[] a) { System.out.print("a"); }\n}\n'
    )
    (to / "deb/DEBIAN").mkdir(parents=True, exist_ok=True)
    (to / "deb/DEBIAN/control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n"
    )
    (to / "package.spec").write_text(
        "Name: a\nVersion: 1\nRelease: 1\nSummary: a\nLicense: MIT\nBuildArch: noarch\n"
        "%description\na\n%files\n"
    )
    (to / "g").mkdir(mode=0o700, exist_ok=True)
    for command in _COMMANDS.splitlines():
        done = subprocess.run(
            command, shell=True, cwd=to, capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            print(f"not made: {command}: {(done.stderr + done.stdout).strip()[-150:]}")
    for made in to.glob("noarch/*.rpm"):
        made.rename(to / "package.rpm")
    _zips(to)


def _zips(to: Path) -> None:
    import py7zr

    with zipfile.ZipFile(to / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "This is a text.\n" * 20)
    whole = (to / "archive.zip").read_bytes()
    with zipfile.ZipFile(to / "empty.zip", "w"):
        pass
    with py7zr.SevenZipFile(to / "python.7z", "w") as archive:
        archive.write(to / "a.txt", "a.txt")
    # As Spring Boot's build makes them: a shell script that starts the jar that follows it.
    script = b"#!/bin/bash\n# :: Spring Boot startup script\n" + b"# a line of the script\n" * 300
    (to / "executable.jar").write_bytes(script + (to / "starts.jar").read_bytes())
    (to / "tool.pyz").write_bytes(b"#!/usr/bin/env python3\n" + whole)
    # A split archive: the first piece, and the last, which keeps the name.
    (to / "split.z01").write_bytes(b"PK\x07\x08" + whole[:60])
    (to / "split.zip").write_bytes(whole[60:])
    for name, member in (
        ("map.kmz", "doc.kml"),
        ("app.apk", "AndroidManifest.xml"),
        ("app.ipa", "Payload/A.app/Info.plist"),
        ("add-on.xpi", "manifest.json"),
        ("part.3mf", "3D/3dmodel.model"),
        ("comic.cbz", "001.png"),
        ("scene.usdz", "a.usdc"),
        ("slides.key", "Index/Document.iwa"),
        ("letter.pages", "Index/Document.iwa"),
        ("table.numbers", "Index/Document.iwa"),
        ("drawing.sketch", "document.json"),
        ("page.xps", "FixedDocSeq.fdseq"),
        ("wheel.whl", "a/__init__.py"),
        ("diagram.vsdx", "visio/document.xml"),
        ("macro.dotm", "word/document.xml"),
        ("binary.xlsb", "xl/workbook.bin"),
        ("painting.kra", "maindoc.xml"),
        ("layers.ora", "stack.xml"),
        ("score.mxl", "score.xml"),
        ("really-a-zip.rar", "a.txt"),
        ("really-a-zip.7z", "a.txt"),
        ("really-a-zip.cbr", "001.png"),
    ):
        with zipfile.ZipFile(to / name, "w") as archive:
            archive.writestr(member, "<a/>")
    with tarfile.open(to / "python.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
