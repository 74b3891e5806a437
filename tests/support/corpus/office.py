"""Office files, books and documents: by LibreOffice, and by Python's usual writers."""

import io
import os
import subprocess
from pathlib import Path
from typing import Final

# What LibreOffice saves a document, a table, slides and a drawing as.
_TEXTS: Final = "odt ott fodt doc docx rtf html txt epub pdf xhtml docm dotx uot"
_TABLES: Final = "ods ots fods xls xlsx csv dif slk xlsm uos xltx"
_SLIDES: Final = "odp otp fodp ppt pptx potx ppsx pps"
_DRAWINGS: Final = "odg fodg svg emf wmf eps png"


def make(to: Path) -> None:
    import docx
    import openpyxl
    import pptx

    word = docx.Document()
    word.add_paragraph("Claim check")
    word.save(str(to / "python.docx"))
    table = openpyxl.Workbook()
    table.active.append(["id", "name"])  # type: ignore[union-attr]
    table.save(to / "python.xlsx")
    slides = pptx.Presentation()
    slides.slides.add_slide(slides.slide_layouts[6])
    slides.save(str(to / "python.pptx"))
    _encrypted(to)
    _others(to)
    text = to / "letter.txt"
    text.write_text("Dear reader,\n\nthis is a letter.\n")
    rows = to / "table.csv"
    rows.write_text("id,name\n1,Ann\n2,Bob\n")
    for source, kinds in (
        (text, _TEXTS),
        (rows, _TABLES),
        (to / "python.pptx", _SLIDES),
        (to / "chart.svg", _DRAWINGS),
    ):
        for kind in kinds.split():
            _convert(source, kind, to)


def _convert(source: Path, kind: str, to: Path) -> None:
    target = to / f"libreoffice.{kind}"
    folder = to / "converted"
    done = subprocess.run(
        ["soffice", "--headless", "--convert-to", kind, "--outdir", str(folder), str(source)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HOME": str(to)},
    )
    made = folder / f"{source.stem}.{kind}"
    if not made.exists():
        print(f"not made: {target}: {(done.stderr + done.stdout).strip()[-200:]}")
        return
    made.rename(target)


def _encrypted(to: Path) -> None:
    """Protected by a password: a CFB container around the encrypted package (MS-OFFCRYPTO)."""
    from msoffcrypto.format.ooxml import OOXMLFile

    for extension in ("docx", "xlsx", "pptx"):
        package = OOXMLFile(io.BytesIO((to / f"python.{extension}").read_bytes()))
        with (to / f"password.{extension}").open("wb") as protected:
            package.encrypt("secret", protected)


def _others(to: Path) -> None:
    import xlwt
    from ebooklib import epub
    from odf.opendocument import OpenDocumentText
    from odf.text import P
    from reportlab.pdfgen.canvas import Canvas

    book = xlwt.Workbook()
    book.add_sheet("a").write(0, 0, "x")
    book.save(str(to / "python.xls"))
    odt = OpenDocumentText()
    odt.text.addElement(P(text="Claim check"))
    odt.save(str(to / "python.odt"))
    novel = epub.EpubBook()
    novel.set_title("A book")
    chapter = epub.EpubHtml(title="One", file_name="one.xhtml", content="<p>It was night.</p>")
    novel.add_item(chapter)
    novel.spine = [chapter]
    novel.toc = [chapter]
    novel.add_item(epub.EpubNcx())
    epub.write_epub(str(to / "book.epub"), novel)
    canvas = Canvas(str(to / "report.pdf"), invariant=1)
    canvas.drawString(72, 720, "Claim check")
    canvas.save()
    pdf = (to / "report.pdf").read_bytes()
    (to / "illustrator.ai").write_bytes(pdf)
    # As a printer's spooler and a mail gateway leave it; readers look for it in the first KiB.
    (to / "spooled.pdf").write_bytes(b"\x1b%-12345X@PJL ENTER LANGUAGE=PDF\r\n" + pdf)
    # Tables as web applications export them "for Excel".
    (to / "export-html.xls").write_text("<html><body><table><tr><td>1</td></tr></table></html>\n")
    (to / "export-csv.xls").write_text("id;name\r\n1;Ann\r\n")
    (to / "export-tabs.xls").write_bytes("id\tname\r\n1\tÄnn\r\n".encode("utf-16"))
    (to / "export-xml.xls").write_text(
        '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n'
        '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>\n'
    )
    (to / "export-html.doc").write_text("<html><head><title>Letter</title></head>Hello</html>\n")
    (to / "really-rtf.doc").write_text(r"{\rtf1\ansi Dear reader}" + "\n")
    for lie in ("docx.doc", "xlsx.xls", "docx.xlsx"):
        kind, _, extension = lie.partition(".")
        (to / f"really-a-{kind}.{extension}").write_bytes((to / f"python.{kind}").read_bytes())
