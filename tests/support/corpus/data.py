"""Fonts, tables, models, maps, medical and scientific data: by their usual Python writers."""

from pathlib import Path


def make(to: Path) -> None:
    for maker in (_fonts, _tables, _science, _models, _maps, _medical, _music, _packed, _chips):
        try:
            maker(to)
        except Exception as error:
            print(f"not made: {maker.__name__}: {error!r}")


def _fonts(to: Path) -> None:
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.t2CharStringPen import T2CharStringPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from fontTools.ttLib import TTCollection, TTFont

    names = {"familyName": "Claimcheck", "styleName": "Regular"}
    for kind in ("ttf", "otf"):
        font = FontBuilder(1000, isTTF=kind == "ttf")
        font.setupGlyphOrder([".notdef"])
        font.setupCharacterMap({})
        if kind == "ttf":
            font.setupGlyf({".notdef": TTGlyphPen(None).glyph()})
        else:
            empty = T2CharStringPen(500, None).getCharString()
            font.setupCFF("Claimcheck", {}, {".notdef": empty}, {})
        font.setupHorizontalMetrics({".notdef": (500, 0)})
        font.setupHorizontalHeader(ascent=800, descent=-200)
        font.setupNameTable(names)
        font.setupOS2()
        font.setupPost()
        font.save(str(to / f"font.{kind}"))
    for flavor in ("woff", "woff2"):
        packed = TTFont(to / "font.ttf")
        packed.flavor = flavor
        packed.save(to / f"font.{flavor}")
    collection = TTCollection()
    collection.fonts = [TTFont(to / "font.ttf"), TTFont(to / "font.ttf")]
    collection.save(str(to / "fonts.ttc"))


def _tables(to: Path) -> None:
    import fastavro
    import pyarrow
    import pyarrow.feather
    import pyarrow.orc
    import pyarrow.parquet

    table = pyarrow.table({"a": [1, 2]})
    pyarrow.parquet.write_table(table, to / "table.parquet")
    pyarrow.feather.write_feather(table, str(to / "table.feather"))
    pyarrow.orc.write_table(table, str(to / "table.orc"))
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}]}
    with (to / "table.avro").open("wb") as out:
        fastavro.writer(out, fastavro.parse_schema(schema), [{"a": 1}])


def _science(to: Path) -> None:
    import h5py
    import numpy
    import scipy.io

    numbers = numpy.arange(4)
    numpy.save(to / "array.npy", numbers)
    numpy.savez(to / "arrays.npz", a=numbers)
    with h5py.File(to / "data.h5", "w") as file:
        file["a"] = numbers
    scipy.io.savemat(to / "matlab5.mat", {"a": numbers})
    scipy.io.savemat(to / "matlab4.mat", {"a": numbers}, format="4")
    scipy.io.savemat(str(to / "figure.fig"), {"hgS_070000": numbers}, appendmat=False)
    with scipy.io.netcdf_file(to / "grid.nc", "w") as grid:
        grid.createDimension("x", 2)
    numpy.savetxt(to / "numbers.dat", numbers)


def _models(to: Path) -> None:
    import ezdxf
    import trimesh

    box = trimesh.creation.box()
    for kind in ("stl", "ply", "obj", "glb", "off", "stl_ascii"):
        try:
            name = "ascii.stl" if kind == "stl_ascii" else f"box.{kind}"
            (to / name).write_bytes(_bytes(box.export(file_type=kind)))
        except Exception as error:
            print(f"not made: box.{kind}: {error!r}")
    scene = box.scene().export(file_type="gltf")
    (to / "box.gltf").write_bytes(_bytes(scene["model.gltf"]))
    drawing = ezdxf.new()
    drawing.modelspace().add_line((0, 0), (1, 1))
    drawing.saveas(to / "ascii.dxf")
    drawing.saveas(to / "binary.dxf", fmt="bin")


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _maps(to: Path) -> None:
    import gpxpy.gpx
    import laspy
    import shapefile
    import simplekml

    laspy.create().write(str(to / "points.las"))
    with shapefile.Writer(str(to / "map")) as shape:
        shape.field("a")
        shape.point(1, 2)
        shape.record("x")
    (to / "track.gpx").write_text(gpxpy.gpx.GPX().to_xml())
    kml = simplekml.Kml()
    kml.newpoint(coords=[(1, 2)])
    kml.save(str(to / "map.kml"))
    (to / "map.geojson").write_text('{"type": "FeatureCollection", "features": []}\n')
    (to / "mapinfo.mif").write_text(
        'Version 300\nCharset "WindowsLatin1"\nColumns 1\n  a Char(9)\n'
    )
    (to / "mapinfo.mid").write_text('"x"\n"y"\n')
    # The Point Cloud Library's own text header, with binary points after it.
    header = "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\n"
    rest = "TYPE F F F\nCOUNT 1 1 1\nWIDTH 9\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 9\n"
    (to / "cloud.pcd").write_bytes((header + rest + "DATA binary\n").encode() + bytes(range(108)))
    (to / "ascii.pcd").write_text(header + rest + "DATA ascii\n" + "0 0 0\n" * 9)


def _medical(to: Path) -> None:
    import nibabel
    import numpy
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    picture = FileDataset(str(to / "scan.dcm"), {}, file_meta=meta, preamble=bytes(128))
    picture.PatientName = "Doe^Jane"
    picture.save_as(to / "scan.dcm", enforce_file_format=True)
    volume = nibabel.Nifti1Image(numpy.zeros((2, 2, 2), numpy.int16), numpy.eye(4))
    nibabel.save(volume, to / "brain.nii")
    nibabel.save(volume, to / "brain.nii.gz")
    nibabel.save(nibabel.AnalyzeImage(numpy.zeros((2, 2, 2), numpy.int16), None), to / "old.img")
    # HL7 over MLLP: a vertical tab in front, a file separator behind (HL7 appendix C).
    message = "MSH|^~\\&|LAB|A|B|C|20260101||ORU^R01|1|P|2.5\rPID|1||7\r"
    (to / "result.hl7").write_bytes(b"\x0b" + message.encode() + b"\x1c\r")
    (to / "result-as.txt").write_bytes(b"\x0b" + message.encode() + b"\x1c\r")


def _music(to: Path) -> None:
    import mido

    tune = mido.MidiFile()
    tune.tracks.append(mido.MidiTrack([mido.Message("note_on", note=60)]))
    for name in ("tune.mid", "tune.midi", "tune.kar"):
        tune.save(to / name)
    # ProTracker's layout: title, 31 samples, order, "M.K.", one pattern.
    header = b"song".ljust(20, b"\0") + bytes(31 * 30) + b"\1\x7f" + bytes(128) + b"M.K."
    (to / "tracker.mod").write_bytes(header + bytes(1024))


def _packed(to: Path) -> None:
    import pickle

    import cbor2
    import msgpack
    import safetensors.numpy
    from gguf import GGUFWriter

    (to / "data.cbor").write_bytes(cbor2.dumps({"a": [1, 2]}))
    (to / "data.msgpack").write_bytes(msgpack.packb({"a": [1, 2]}))
    (to / "data.pkl").write_bytes(pickle.dumps({"a": [1, 2]}))
    safetensors.numpy.save_file({}, str(to / "model.safetensors"))
    model = GGUFWriter(str(to / "model.gguf"), "llama")
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.close()
    import py_compile

    (to / "module.py").write_text("print(1)\n")
    py_compile.compile(str(to / "module.py"), str(to / "module.pyc"))
    (to / "module.wasm").write_bytes(b"\0asm\1\0\0\0")


def _chips(to: Path) -> None:
    """Text formats of electronics and of statistics whose extensions others use too."""
    for name, text in {
        "board.gbr": "G04 a layer*\n%FSLAX46Y46*%\n%MOMM*%\n%ADD10C,0.1*%\nX0Y0D02*\nM02*\n",
        "design.vhd": "library ieee;\nentity a is end;\narchitecture b of a is begin end;\n",
        "chip.hex": ":020000040000FA\n:00000001FF\n",
        "model.mod": "param n;\nvar x{1..n};\nminimize cost: sum{i in 1..n} x[i];\nend;\n",
        "go.mod": "module example.com/a\n\ngo 1.24\n",
        "stats.sav": "$FL2@(#) SPSS DATA FILE" + " " * 200,
    }.items():
        (to / name).write_text(text)
