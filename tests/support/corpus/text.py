"""Text and source, as editors and exporters write it: what has no signature."""

import email.message
import gzip
from pathlib import Path
from typing import Final

_PLAIN: Final = {
    "readme.md": '<p align="center"><img src="logo.png"></p>\n\n# A project\n\nText.\n',
    "notes.md": "# Notes\n\n- one\n- two\n",
    "data.json": '{"a": [1, 2]}\n',
    "lines.jsonl": '{"a": 1}\n{"a": 2}\n',
    "lines.ndjson": '{"a": 1}\n{"a": 2}\n',
    "settings.yaml": "a: 1\nb: [2, 3]\n",
    "settings.yml": "---\na: 1\n",
    "settings.toml": "[a]\nb = 1\n",
    "settings.ini": "[a]\nb = 1\n",
    "table.tsv": "id\tname\n1\tAnn\n",
    "server.log": "2026-01-01 00:00:00 INFO started\n",
    "page.css": "body { margin: 0 }\n",
    "app.js": "export const a = 1;\n",
    "app.mjs": "export const a = 1;\n",
    "app.ts": "export const a: number = 1;\n",
    "app.tsx": "export const A = () => <p>a</p>;\n",
    "commonjs.mts": "export const a: number = 1;\n",
    "app.jsx": "export const A = () => <p>a</p>;\n",
    "app.vue": "<template><p>a</p></template>\n<script setup>\nconst a = 1\n</script>\n",
    "main.go": "package main\n\nfunc main() {}\n",
    "main.rs": "fn main() {}\n",
    "main.c": "#include <stdio.h>\nint main(void) { return 0; }\n",
    "main.cpp": "#include <vector>\nclass A {};\n",
    "main.sh": "#!/bin/sh\necho a\n",
    "main.bat": "@echo off\r\necho a\r\n",
    "main.ps1": "Write-Host 'a'\n",
    "main.php": "<?php echo '<p>a</p>';\n",
    "main.rb": "puts 1\n",
    "main.pl": "#!/usr/bin/perl\nprint 1;\n",
    "main.sql": "SELECT 1;\n",
    "main.r": "x <- c(1, 2)\n",
    "main.m": "function a()\n% a comment\nend\n",
    "main.f90": "program a\nend program\n",
    "main.tex": "\\documentclass{article}\n\\begin{document}a\\end{document}\n",
    "main.bib": "@book{a, title={b}}\n",
    "main.lua": "print(1)\n",
    "main.swift": "print(1)\n",
    "main.kt": "fun main() {}\n",
    "film.srt": "1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    "film.vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n",
    "film.ass": "[Script Info]\nTitle: a\n\n[Events]\n",
    "microdvd.sub": "{25}{50}Hello\n",
    "song.lrc": "[00:01.00]Hello\n",
    "radio.m3u": "#EXTM3U\nsong.mp3\n",
    "radio.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:9,\na.ts\n",
    "radio.pls": "[playlist]\nFile1=a.mp3\n",
    "radio.ram": "rtsp://example.com/a.rm\n",
    "radio.xspf": '<?xml version="1.0"?>\n<playlist xmlns="http://xspf.org/ns/0/"/>\n',
    "radio.asx": '<ASX version="3.0"><Entry><Ref href="a.wmv"/></Entry></ASX>\n',
    "radio.wax": '<asx version="3.0"><entry><ref href="a.wma"/></entry></asx>\n',
    "radio.wvx": '<asx version="3.0"><entry><ref href="a.wmv"/></entry></asx>\n',
    "stream.mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>\n',
    "card.vcf": "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann\r\nEND:VCARD\r\n",
    "event.ics": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//EN\r\nEND:VCALENDAR\r\n",
    "feed.rss": '<?xml version="1.0"?>\n<rss version="2.0"><channel/></rss>\n',
    "feed.atom": '<?xml version="1.0"?>\n<feed xmlns="http://www.w3.org/2005/Atom"/>\n',
    "plain.xml": '<?xml version="1.0"?>\n<note>a</note>\n',
    "sheet.xsl": '<?xml version="1.0"?>\n<xsl:stylesheet version="1.0"'
    ' xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>\n',
    "notebook.ipynb": '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}\n',
    "bank.qif": "!Type:Bank\nD01/01/2026\nT1.00\n^\n",
    "bank.ofx": "OFXHEADER:100\nDATA:OFXSGML\n\n<OFX></OFX>\n",
    "table.dif": 'TABLE\n0,1\n"EXCEL"\n',
    "vector.eps": "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\nshowpage\n",
    "vector.ps": "%!PS-Adobe-3.0\nshowpage\n",
    "vector.fig": "#FIG 3.2\nLandscape\nCenter\nInches\nLetter\n100.00\nSingle\n-2\n1200 2\n",
    "part.step": "ISO-10303-21;\nHEADER;\nENDSEC;\nEND-ISO-10303-21;\n",
    "part.iges": "a".ljust(72) + "S      1\n",
    "protein.pdb": "HEADER    PROTEIN\nATOM      1  N   ALA A   1\nEND\n",
    "genes.fasta": ">seq1\nACGT\n",
    "genes.vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n",
    "envi.hdr": "ENVI\nsamples = 2\nlines = 2\nbands = 1\n",
    "book.adoc": "= A book\n\nText.\n",
    "signed.asc": "= AsciiDoc, under the extension of signatures\n\nText.\n",
    "torn.pod": "=head1 NAME\n\na\n\n=cut\n",
    "graph.dot": "digraph { a -> b }\n",
    "chart.svg": '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>\n',
    "page.html": "<!DOCTYPE html>\n<html><head><title>a</title></head><body>a</body></html>\n",
    "page.htm": "<html><body>a</body></html>\n",
    "page.xhtml": '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"/>\n',
    "page.mhtml": "From: a\nContent-Type: multipart/related; boundary=a\n\n--a--\n",
    "page.webmanifest": '{"name": "a"}\n',
    "lib.d.ts": "export declare const a: number;\n",
    "linguist.ts": '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n<TS version="2.1"/>\n',
}


def make(to: Path) -> None:
    for name, text in _PLAIN.items():
        (to / name).write_text(text)
    umlauts = "id;name\r\n1;Müller\r\n2;Łódź\r\n"
    (to / "utf8-bom.csv").write_bytes(b"\xef\xbb\xbf" + umlauts.encode())
    (to / "utf16-bom.csv").write_bytes(umlauts.encode("utf-16"))
    (to / "utf16-le.csv").write_bytes(umlauts.encode("utf-16-le"))
    (to / "utf16-be.txt").write_bytes(umlauts.encode("utf-16-be"))
    (to / "utf16-le.sql").write_bytes("SELECT 1;\r\nGO\r\n".encode("utf-16-le"))
    (to / "utf32.txt").write_bytes(umlauts.encode("utf-32"))
    (to / "windows-1252.csv").write_bytes("id;name\r\n1;Müller €\r\n".encode("cp1252"))
    (to / "windows-1251.txt").write_bytes("Привет, мир\r\n".encode("cp1251"))
    (to / "shift-jis.txt").write_bytes("こんにちは世界\r\n".encode("shift_jis"))
    (to / "iso-2022-jp.txt").write_bytes("こんにちは\r\n".encode("iso2022_jp"))
    (to / "gb18030.csv").write_bytes("编号,名称\r\n1,张三\r\n".encode("gb18030"))
    (to / "dos-end.txt").write_bytes(b"A text of MS-DOS.\r\n\x1a")
    (to / "colours.log").write_bytes(b"\x1b[32mok\x1b[0m a test\n")
    (to / "overstrike.txt").write_bytes(b"NAME\n     l\x08ls\x08s - list\n")
    (to / "nul-padded.log").write_bytes(b"started\n" + bytes(64) + b"started again\n")
    (to / "form-feed.txt").write_bytes(b"page 1\n\x0cpage 2\n")
    (to / "empty.txt").write_bytes(b"")
    (to / "empty.csv").write_bytes(b"")
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "a"
    message.set_content("Hello")
    (to / "message.eml").write_bytes(bytes(message))
    (to / "mail.mbox").write_bytes(
        b"From a@example.com Thu Jan  1 00:00:00 2026\n" + bytes(message)
    )
    (to / "chart.svgz").write_bytes(gzip.compress((to / "chart.svg").read_bytes(), mtime=0))
    (to / "score.abw").write_bytes(gzip.compress(b'<?xml version="1.0"?><abiword/>', mtime=0))
