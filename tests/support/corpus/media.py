"""Audio, video and pictures, by ffmpeg, ImageMagick, Pillow and the reference encoders."""

import subprocess
from pathlib import Path
from typing import Final

_VIDEO: Final = "-f lavfi -i testsrc=size=32x32:rate=10:duration=0.3"
_AUDIO: Final = "-f lavfi -i sine=frequency=440:duration=0.1:sample_rate=8000"
_BOTH: Final = f"{_VIDEO} {_AUDIO}"

# What ffmpeg is asked for, by the name of the file.
_FFMPEG: Final = {
    "mpeg4.mp4": f"{_BOTH} -c:v mpeg4 -c:a aac",
    "fragmented.mp4": f"{_VIDEO} -c:v mpeg4 -movflags frag_keyframe+empty_moov+default_base_moof",
    "camera.mov": f"{_VIDEO} -c:v mjpeg",
    "itunes.m4v": f"{_VIDEO} -c:v mpeg4 -f ipod",
    "song.m4a": f"{_AUDIO} -c:a aac -f ipod",
    "book.m4b": f"{_AUDIO} -c:a aac -f ipod",
    "ring.m4r": f"{_AUDIO} -c:a aac -f ipod",
    "phone.3gp": f"{_VIDEO} -s 128x96 -c:v h263 -f 3gp",
    "phone.3g2": f"{_VIDEO} -s 128x96 -c:v h263 -f 3g2",
    "clip.webm": f"{_VIDEO} -c:v libvpx -b:v 50k",
    "voice.weba": f"{_AUDIO} -ar 48000 -c:a libopus -f webm",
    "clip.mkv": f"{_VIDEO} -c:v mpeg4",
    "sound.mka": f"{_AUDIO} -c:a flac",
    "clip.avi": f"{_VIDEO} -c:v mpeg4",
    "opendml.avi": f"{_VIDEO} -c:v rawvideo -pix_fmt bgr24 -s 16x16 -frames:v 1",
    "clip.wmv": f"{_VIDEO} -c:v wmv2",
    "song.wma": f"{_AUDIO} -c:a wmav2",
    "clip.asf": f"{_VIDEO} -c:v msmpeg4",
    "clip.flv": f"{_VIDEO} -c:v flv",
    "clip.f4v": f"{_VIDEO} -c:v libx264 -f f4v",
    "clip.swf": f"{_VIDEO} -c:v flv -f swf",
    "clip.mpg": f"{_VIDEO} -r 25 -c:v mpeg1video",
    "clip.mpeg": f"{_VIDEO} -r 25 -c:v mpeg2video -f vob",
    "dvd.vob": f"{_VIDEO} -r 25 -c:v mpeg2video -f vob",
    "camcorder.mod": f"{_VIDEO} -r 25 -c:v mpeg2video -f vob",
    "vobsub.sub": f"{_VIDEO} -r 25 -c:v mpeg2video -f vob",
    "stream.m2v": f"{_VIDEO} -r 25 -c:v mpeg2video -f mpeg2video",
    "stream.m1v": f"{_VIDEO} -r 25 -c:v mpeg1video -f mpeg1video",
    "transport.ts": f"{_VIDEO} -r 25 -c:v mpeg2video -f mpegts",
    "avchd.mts": f"{_VIDEO} -r 25 -c:v mpeg2video -f mpegts -mpegts_m2ts_mode 1",
    "bluray.m2ts": f"{_VIDEO} -r 25 -c:v mpeg2video -f mpegts -mpegts_m2ts_mode 1",
    "clip.ogv": f"{_VIDEO} -c:v libtheora",
    "clip.ogm": f"{_VIDEO} -c:v libtheora -f ogg",
    "song.ogg": f"{_AUDIO} -c:a libvorbis",
    "flac.oga": f"{_AUDIO} -c:a flac -f ogg",
    "voice.opus": f"{_AUDIO} -ar 48000 -c:a libopus",
    "voice.spx": f"{_AUDIO} -c:a libspeex",
    "tagged.mp3": f"{_AUDIO} -metadata title=x -c:a libmp3lame",
    "bare.mp3": f"{_AUDIO} -c:a libmp3lame -write_xing 0 -id3v2_version 0",
    "layer2.mp2": f"{_AUDIO} -ar 22050 -c:a mp2",
    "song.aac": f"{_AUDIO} -c:a aac -f adts",
    "pcm.wav": f"{_AUDIO}",
    "broadcast.wav": f"{_AUDIO} -write_bext 1",
    "large.wav": f"{_AUDIO} -rf64 always",
    "large.w64": f"{_AUDIO}",
    "song.flac": f"{_AUDIO}",
    "song.aiff": f"{_AUDIO}",
    "song.aifc": f"{_AUDIO} -c:a pcm_alaw -f aiff",
    "song.caf": f"{_AUDIO}",
    "alac.caf": f"{_AUDIO} -c:a alac",
    "song.au": f"{_AUDIO}",
    "song.ac3": f"{_AUDIO} -ar 48000 -c:a ac3",
    "song.eac3": f"{_AUDIO} -ar 48000 -c:a eac3",
    "cinema.dts": f"{_AUDIO} -ar 48000 -strict -2 -c:a dca",
    "song.wv": f"{_AUDIO} -c:a wavpack",
    "song.tta": f"{_AUDIO} -c:a tta",
    "song.voc": f"{_AUDIO}",
    "camera.mxf": f"{_VIDEO} -s 16x16 -r 25 -c:v mpeg2video -frames:v 1",
    "tape.dv": "-f lavfi -i color=size=720x576:rate=25 -pix_fmt yuv420p -frames:v 1 -c:v dvvideo",
    "clip.nut": f"{_VIDEO} -c:v mpeg4",
    "clip.rm": f"{_VIDEO} -c:v rv10 -s 176x144 -r 25",
    "raw.h264": f"{_VIDEO} -c:v libx264 -preset veryslow",
    "raw.ivf": f"{_VIDEO} -c:v libvpx -b:v 50k",
    "raw.y4m": f"{_VIDEO} -s 16x16 -pix_fmt yuv420p -frames:v 1 -f yuv4mpegpipe",
    "titles.gif": f"{_VIDEO}",
    "moving.apng": f"{_VIDEO} -plays 0",
    "rawvideo.yuv": f"{_VIDEO} -s 16x16 -frames:v 1 -f rawvideo",
}

# What ImageMagick is asked for: the format before the name, where the name does not say it.
_MAGICK: Final = """
photo.jpg photo.jpeg photo.png photo.bmp photo.gif photo.tif photo.tiff photo.webp photo.ico
photo.cur photo.tga photo.pcx photo.dcx photo.sgi photo.ras photo.pict photo.psd photo.psb
photo.jp2 photo.j2k photo.jng photo.mng photo.dds photo.dpx photo.hdr photo.fits photo.miff
photo.pbm photo.pgm photo.ppm photo.pnm photo.pam photo.pfm photo.xbm photo.xpm photo.wbmp
photo.vips photo.viff photo.otb photo.palm photo.pdb photo.txt photo.avs photo.cin photo.fax
photo.mtv photo.sixel photo.xwd photo.jbig photo.cals
"""


def make(to: Path) -> None:
    for name, arguments in _FFMPEG.items():
        _run(f"ffmpeg -v error -y -bitexact -fflags +bitexact {arguments}", to / name)
    for name in _MAGICK.split():
        _run("convert rose: -resize 16x16! -strip", to / name)
    rose = "convert rose: -resize 16x16! -strip"
    _run(rose, f"jpeg:{to / 'photo.jfif'}")
    _run(rose, f"bmp2:{to / 'os2.bmp'}")
    _run(f"{rose} -alpha on -define bmp:format=bmp4", to / "alpha.bmp")
    _run(f"{rose} -endian MSB", to / "motorola.tif")
    _run(f"{rose} -compress Group4 -monochrome", to / "fax.tif")
    _run(f"{rose} -interlace JPEG", to / "progressive.jpg")
    _run(f"{rose} -colorspace CMYK", to / "press.jpg")
    for lie in ("jpeg.heic", "jpeg.png", "png.jpg", "webp.jpg", "png.ico", "gif.png"):
        kind, _, extension = lie.partition(".")
        _run(rose, f"{kind}:{to / f'really-a-{kind}.{extension}'}")
    for lie, arguments in (
        ("m4a.mp3", f"{_AUDIO} -c:a aac -f ipod"),
        ("mp3.m4a", f"{_AUDIO} -c:a libmp3lame -f mp3"),
        ("wav.mp3", f"{_AUDIO} -f wav"),
        ("webm.mp4", f"{_VIDEO} -c:v libvpx -b:v 50k -f webm"),
        ("mp4.webm", f"{_VIDEO} -c:v mpeg4 -f mp4"),
        ("mpegts.mp4", f"{_VIDEO} -r 25 -c:v mpeg2video -f mpegts"),
    ):
        _run(f"ffmpeg -v error -y -bitexact {arguments}", to / f"really-a-{lie}")
    png = to / "photo.png"
    _run(f"cjxl --quiet {png}", to / "photo.jxl")
    _run(f"cjxl --quiet --container=1 {png}", to / "boxed.jxl")
    _run(f"cjxl --quiet {to / 'photo.jpg'}", to / "transcoded.jxl")
    _pillow(to)


def _pillow(to: Path) -> None:
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    image = Image.open(to / "photo.png").convert("RGB")
    image.save(to / "iphone.heic", quality=30)
    image.save(to / "photo.heif", quality=30)
    image.save(to / "photo.avif", quality=30)
    image.save(to / "burst.heics", format="HEIF", save_all=True, append_images=[image, image])
    image.save(to / "several.mpo", append_images=[image], save_all=True)
    image.save(to / "stack.tif", append_images=[image], save_all=True)
    image.save(to / "moving.webp", append_images=[image.rotate(90)], save_all=True)
    image.save(to / "mac.icns")
    image.save(to / "old.im")
    image.convert("1").save(to / "old.msp")


def _run(command: str, to: Path | str) -> None:
    done = subprocess.run([*command.split(), str(to)], capture_output=True, text=True, check=False)
    if done.returncode:
        Path(str(to)).unlink(missing_ok=True)
        print(f"not made: {to}: {done.stderr.strip()[-200:]}")
