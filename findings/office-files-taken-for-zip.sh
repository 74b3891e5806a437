#!/usr/bin/env bash
# An office file is a zip, and what it is says one of its entries. Checks of uploads go by the places where Office
# and LibreOffice have these entries. Two writers of browsers and servers have them elsewhere, in files that are
# what they are called:
# pptxgenjs begins each presentation with the entries of its folders (`_rels/`, `docProps/`, `ppt/` ...), and
# SheetJS has `mimetype` in the third place of an .ods. libmagic, newest (in wasmagic) and 5.44 of Debian 12, and
# Python's filetype say `application/zip` of both, file-type for Node.js is right, and puremagic takes SheetJS's
# table for a Word document. What the files contain changes nothing.
# Here it matters in app/core/contents.py, which lets a zip be any office file, and to whoever checks files after
# their upload: a check that lets office files pass and archives not refuses these.
#
# Seen with wasmagic 1.0.10 (libmagic 5.48), filetype 1.2.0, puremagic 1.30, file-type 22.3.0, python-pptx 1.0.2,
# odfpy 1.4.1, pptxgenjs 4.0.1, xlsx 0.18.5, Python 3.11, Node.js 20:
#   python-pptx.pptx: libmagic pptx, filetype pptx, puremagic pptx, file-type pptx
#   pptxgenjs.pptx: libmagic zip, filetype zip, puremagic pptx, file-type pptx
#   odfpy.ods: libmagic ods, filetype ods, puremagic ods, file-type ods
#   xlsx.ods: libmagic zip, filetype zip, puremagic docx, file-type ods
# Expected: pptx of the first two, ods of the others.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check filetype==1.2.0 puremagic==1.30 \
  python-pptx==1.0.2 odfpy==1.4.1
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  pptxgenjs@4.0.1 xlsx@0.18.5 file-type@22.3.0 wasmagic@1.0.10

cat >write.mjs <<'JS'
import PptxGen from "pptxgenjs";
import XLSX from "xlsx";

const slides = new PptxGen();
slides.addSlide().addText("a title", { x: 1, y: 1 });
await slides.writeFile({ fileName: "pptxgenjs.pptx", compression: true });

const rows = Array.from({ length: 200 }, (_, row) => Array.from({ length: 20 }, (_, column) => row * column));
const book = XLSX.utils.book_new();
XLSX.utils.book_append_sheet(book, XLSX.utils.aoa_to_sheet(rows), "a");
XLSX.writeFile(book, "xlsx.ods");
JS
node write.mjs
venv/bin/python - <<'PYTHON'
from zipfile import ZipFile

from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from pptx import Presentation

slides = Presentation()
slides.slides.add_slide(slides.slide_layouts[0]).shapes.title.text = "a title"
slides.save("python-pptx.pptx")

document = OpenDocumentSpreadsheet()
table, line, cell = Table(name="a"), TableRow(), TableCell()
cell.addElement(P(text="a"))
line.addElement(cell)
table.addElement(line)
document.spreadsheet.addElement(table)
document.save("odfpy.ods")

# The other two are what they are called.
assert len(Presentation("pptxgenjs.pptx").slides) == 1
with ZipFile("xlsx.ods") as table:
    assert table.read("mimetype") == b"application/vnd.oasis.opendocument.spreadsheet"
PYTHON

cat >see.mjs <<'JS'
import { readFileSync } from "node:fs";
import { fileTypeFromBuffer } from "file-type";
import { WASMagic } from "wasmagic";

const magic = await WASMagic.create();
const seen = {};
for (const name of process.argv.slice(2)) {
  const bytes = readFileSync(name);
  seen[name] = { libmagic: magic.detect(bytes), "file-type": (await fileTypeFromBuffer(bytes))?.mime };
}
console.log(JSON.stringify(seen));
JS
venv/bin/python - <<'PYTHON'
import json
import subprocess
import sys

import filetype
import puremagic

OFFICE = "application/vnd.openxmlformats-officedocument."
SHORT = {
    OFFICE + "presentationml.presentation": "pptx",
    OFFICE + "wordprocessingml.document": "docx",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/zip": "zip",
}
NAMES = ("python-pptx.pptx", "pptxgenjs.pptx", "odfpy.ods", "xlsx.ods")
by_node = json.loads(subprocess.run(["node", "see.mjs", *NAMES], check=True, capture_output=True).stdout)
seen = {}
for name in NAMES:
    types = {
        "libmagic": by_node[name]["libmagic"],
        "filetype": filetype.guess_mime(name),
        "puremagic": puremagic.from_file(name, mime=True),
        "file-type": by_node[name]["file-type"],
    }
    seen[name] = [SHORT.get(type_, type_) for type_ in types.values()]
    print(f"{name}: {', '.join(f'{check} {what}' for check, what in zip(types, seen[name]))}")
sys.exit(
    list(seen.values()) != [["pptx"] * 4, ["zip", "zip", "pptx", "pptx"], ["ods"] * 4, ["zip", "zip", "docx", "ods"]]
)
PYTHON
