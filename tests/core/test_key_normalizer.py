import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slugify import slugify

from app.core.key_normalizer import (
    _JOINERS,
    _SIGNS,
    _TAGS,
    DEFAULT_TEMPLATE,
    MAX_KEY_BYTES,
    Filename,
    InvalidName,
    check_client_key,
    check_prefix,
    check_template,
    clean_filename,
    normalize_key,
    suggest_key,
)

NOW = datetime(2026, 3, 9, 14, 5, 6, 7, tzinfo=UTC)
STAMP = "03-09-2026_14-05-06-000007"
UNIQUE = UUID("019a7c1e-8d5a-7c3e-9a51-0123456789ab")
OWNER_HASH = hashlib.sha256(b"dev").hexdigest()[:16]
LONGEST_TEMPLATE = "{owner}/{date}/{uuid}/{timestamp}/{slug}/" + "t" * 374 + "/{slug}{extension}"

# Any text, and what is made of the characters that matter here, which plain text rarely hits.
NAMES = st.text(max_size=300) | st.text(
    alphabet="aB1 ./\\$%&#;{}~-_é\u0301\u0338\u200b\u202e\u2028\x00\x7f\x85\ud800日😀ßİ",
    max_size=60,
)


def key_of(name: str, prefix: str = "", template: str = DEFAULT_TEMPLATE) -> str:
    return normalize_key(
        clean_filename(name),
        now=NOW,
        unique=UNIQUE,
        owner="dev",
        prefix=prefix,
        template=template,
    )


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("image.png", "image.png"),
        ("FILE with SPACEs.PNG", "file-with-spaces.png"),
        ("archive.tar.gz", "archive-tar.gz"),
        ("photo", "photo"),
        (".htaccess", "htaccess"),
        ("..png", "png"),
        ("日本語.png", "ri-ben-yu.png"),
        ("Übergröße ½.JPEG", "ubergrosse-1-2.jpeg"),
        ("😀.png", "file.png"),
        ("../../etc/passwd", "passwd"),
        (r"C:\tmp\a.png", "a.png"),
        ("a/b\\c.png", "c.png"),
        ("a.png. ", "a.png"),
        ("a.png . . \u00a0", "a.png"),
        ("report.final version", "report-final-version"),
        ("report.abcdefghij1234567", "report-abcdefghij1234567"),
        ("report.abcdefghij123456", "report.abcdefghij123456"),
        ("a.ｐｎｇ", "a-png"),
        ("a${filename}.png", "a-filename.png"),
        ("a$$b.png", "a-b.png"),
        ("a.p$g", "a-p-g"),
        ("a&#36;b&dollar;.png", "a-36-b-dollar.png"),
        ("gpj\u202egnp.exe", "gpjgnp.exe"),
        ("a\u200bb\u200d\ufeff.p\u200cng", "ab.png"),
        ("line\u2028end\u2029.png", "lineend.png"),
        ("e\u0301te\u0301.png", "ete.png"),
        ("tab\tand\nline.png", "tab-and-line.png"),
        ("{slug}{uuid}.png", "slug-uuid.png"),
    ],
)
def test_a_name_becomes_a_key(name: str, ending: str) -> None:
    assert key_of(name, prefix="files/") == f"files/{STAMP}--{ending}"


CONTROLS = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0)) if chr(c) not in "\t\n\r"]


@pytest.mark.parametrize("character", CONTROLS, ids=lambda c: f"U+{ord(c):04X}")
def test_control_characters_are_refused_wherever_they_stand(character: str) -> None:
    for name in (f"a{character}b.png", f"{character}a.png", f"a.png{character}", f"{character}/a"):
        with pytest.raises(InvalidName, match="control character"):
            clean_filename(name)


@pytest.mark.parametrize("name", ["\ud800.png", "a\udfff", "\udc80/a.png"])
def test_lone_surrogates_are_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="surrogate"):
        clean_filename(name)


@pytest.mark.parametrize("name", ["", ".", "..", " ", "...", ". .", "a/", "a/..", "\\", "\u200b"])
def test_names_with_nothing_to_see_are_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="empty"):
        clean_filename(name)


@pytest.mark.parametrize(("letter", "count"), [("a", 255), ("é", 255), ("日", 255), ("😀", 127)])
def test_a_name_may_have_255_units_of_utf_16(letter: str, count: int) -> None:
    """As many as on Windows (NTFS) and macOS (APFS); the key is cut, the name is kept."""
    assert clean_filename(letter * count).display == letter * count
    assert clean_filename("e\u0301" * 255).display == "é" * 255  # counted as it is stored
    # Between slashes as long as the name of a file may be, in which some stores keep objects.
    key = key_of(f"{letter * (count - 20)}.{'x' * 16}", "", "{uuid}--{slug}{extension}")
    assert len(key) <= 255
    with pytest.raises(InvalidName, match="255 characters of UTF-16"):
        clean_filename(letter * (count + 1))


@pytest.mark.parametrize(
    "name",
    [
        "می‌خواهم.pdf",  # Persian, with ZWNJ
        "क्‍ष.pdf",  # Devanagari, with ZWJ behind the virama
        "ශ්‍රී ලංකා.jpg",  # Sinhala
        "ക്‍.txt",  # Malayalam
        "👩‍👩‍👧‍👦.png",  # a family
        "🏳️‍🌈.png",  # a flag, with a selector before the ZWJ
        "🧑🏽‍🚀.png",  # with a skin tone
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.png",  # England's
        "a\tb\nc.png",
        "٣ \u0600.txt",
    ],
)
def test_what_belongs_to_the_script_stays_in_the_name(name: str) -> None:
    assert clean_filename(name).display == name
    assert re.fullmatch(r"[a-z0-9_-]+\.[a-z]+", key_of(name))


@pytest.mark.parametrize(
    ("name", "display"),
    [
        ("a\u200bb\u200dc\u200c.png", "abc.png"),
        ("日\u200d本.png", "日本.png"),
        ("и\u200cмя.png", "имя.png"),
        ("\u200dа.png", "а.png"),
        ("می\u200c", "می"),
        ("gpj\u202egnp.exe", "gpjgnp.exe"),
        ("\u2066a\u2069\u200f.png", "a.png"),
        ("a\U000e0067.png", "a.png"),
    ],
)
def test_what_only_deceives_goes(name: str, display: str) -> None:
    assert clean_filename(name).display == display


def test_runs_of_marks_are_not_sorted_before_they_are_counted() -> None:
    """With the square of their length this test would run for hours."""
    marks = "\u0301\u0316" * 1_000_000
    with pytest.raises(InvalidName, match="longer"):
        clean_filename(f"a{marks}")
    assert clean_filename(f"{marks}/a").display == "a"


@pytest.mark.parametrize("filler", [".", " ", ". "])
def test_runs_of_dots_and_spaces_take_linear_time(filler: str) -> None:
    """With the square of their length this test would run for minutes."""
    assert clean_filename("a" + filler * 100_000).display == "a"
    with pytest.raises(InvalidName):
        clean_filename(filler * 100_000)
    with pytest.raises(InvalidName):
        clean_filename("a" + filler * 100_000 + "a")


@pytest.mark.parametrize(
    ("name", "display"),
    [
        ("e\u0301te\u0301.PNG", "été.PNG"),
        ("  my  photo.png. ", "my  photo.png"),
        ("a${b}.png", "a${b}.png"),
        ("C:\\tmp\\日本.png", "日本.png"),
    ],
)
def test_the_name_to_show_keeps_script_and_capitals(name: str, display: str) -> None:
    assert clean_filename(name).display == display


@given(NAMES)
def test_every_text_is_refused_or_makes_a_safe_key(name: str) -> None:
    try:
        cleaned = clean_filename(name)
    except InvalidName:
        return
    key = key_of(name, prefix="Some_prefix/v1.0/")
    assert re.fullmatch(r"[A-Za-z0-9._/-]+", key)
    assert len(key) <= MAX_KEY_BYTES
    assert key.startswith(f"Some_prefix/v1.0/{STAMP}--")
    assert not {"", ".", ".."} & set(key.split("/"))
    assert cleaned.display.encode().decode() == cleaned.display
    assert len(cleaned.display.encode("utf-16-le")) <= 2 * 255
    assert not {"/", "\\"} & set(cleaned.display)
    seen = re.sub(f"[\t\n\r{''.join(_JOINERS | _TAGS | _SIGNS)}\u180e]", "", cleaned.display)
    assert {unicodedata.category(c) for c in seen}.isdisjoint({"Cc", "Cf", "Cs"})
    assert clean_filename(cleaned.display) == cleaned
    check_client_key(key, ["Some_prefix/v1.0/"])


@given(NAMES)
def test_composed_and_decomposed_spellings_are_one_name(name: str) -> None:
    outcomes = set()
    for form in ("NFC", "NFD"):
        try:
            outcomes.add(clean_filename(unicodedata.normalize(form, name)))
        except InvalidName as error:
            outcomes.add(str(error))
    assert len(outcomes) == 1


@given(
    words=st.lists(st.text("abcdefghij", min_size=1, max_size=60), min_size=1, max_size=30),
    prefix=st.integers(0, 511).map(lambda n: "p" * n + "/" if n else ""),
    template=st.sampled_from([DEFAULT_TEMPLATE, LONGEST_TEMPLATE]),
)
def test_long_slugs_are_cut_between_words(words: list[str], prefix: str, template: str) -> None:
    name = clean_filename("-".join(words)[:250] + ".png")
    key = key_of(name.display, prefix, check_template(template))
    assert len(key) <= MAX_KEY_BYTES
    assert key.endswith(".png")
    slug = key.removesuffix(".png").rpartition("--" if template == DEFAULT_TEMPLATE else "/")[2]
    kept, whole = slug.split("-"), name.stem.strip("-").split("-")
    # Whole words from the front, unless not even the first one has room.
    assert kept == whole[: len(kept)] or (len(kept) == 1 and whole[0].startswith(slug))


def test_a_slug_is_only_cut_when_it_must_be() -> None:
    name = "-".join(["word"] * 40)
    assert key_of(f"{name}.png", "p" * 511 + "/").endswith(f"--{name}.png")
    fixed = "x" * 400 + "/{slug}/{slug}/{slug}/{timestamp}"
    slug = key_of(f"{name}.png", "p" * 511 + "/", check_template(fixed)).split("/")[2]
    assert slug == "-".join(["word"] * 5)


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{timestamp}--{slug}{extension}", f"{STAMP}--a-b.png"),
        ("{date}/{uuid}{extension}", f"2026-03-09/{UNIQUE}.png"),
        ("{owner}/{uuid}", f"{OWNER_HASH}/{UNIQUE}"),
        ("{slug}_{timestamp}{extension}", f"a-b_{STAMP}.png"),
        ("by/{owner}/{slug}.{uuid}.orig", f"by/{OWNER_HASH}/a-b.{UNIQUE}.orig"),
    ],
)
def test_templates(template: str, key: str) -> None:
    assert key_of("A b.PNG", template=check_template(template)) == key


def test_the_owner_is_never_written_out() -> None:
    name, owner = clean_filename("a.png"), "jane.doe@example.com"
    template = "{owner}/{uuid}/{timestamp}/{date}/{slug}{extension}"
    keys = [
        normalize_key(name, now=NOW, unique=UNIQUE, owner=o, template=template)
        for o in (owner, owner, "jóhn@example.com")
    ]
    assert keys[0] == keys[1] != keys[2]
    assert "jane" not in keys[0]
    assert re.match(r"[0-9a-f]{16}/", keys[0])


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{slug}{extension}", "needs {timestamp} or {uuid}"),
        ("{timestamp}{name}", "unknown placeholder {name}"),
        ("{timestamp}{}", "unknown placeholder {}"),
        ("{timestamp}{0}", "unknown placeholder {0}"),
        ("{timestamp}{slug.__class__}", "unknown placeholder {slug.__class__}"),
        ("{timestamp}{slug[0]}", "unknown placeholder"),
        ("{timestamp", "malformed"),
        ("{timestamp}}", "malformed"),
        ("{timestamp:>900}", "take no format"),
        ("{timestamp!r}", "take no format"),
        ("/{timestamp}", "unusable keys"),
        ("{timestamp}//{slug}", "unusable keys"),
        ("../{timestamp}", "unusable keys"),
        ("{timestamp}/./{slug}", "unusable keys"),
        ("{timestamp}/", "unusable keys"),
        ("{timestamp}{{slug}}", "unusable keys"),
        ("{timestamp} {slug}", "unusable keys"),
        ("{timestamp}$", "unusable keys"),
        ("é{timestamp}", "unusable keys"),
        ("{timestamp}\n", "unusable keys"),
        # Empty for names without an extension, hidden for others.
        ("{timestamp}/{extension}", "unusable keys"),
        ("{extension}/{timestamp}", "unusable keys"),
        ("{uuid}" * 15, "unusable keys"),
        ("x" * 490 + "{timestamp}", "unusable keys"),
        ("", "needs {timestamp} or {uuid}"),
    ],
)
def test_templates_that_cannot_work_are_refused(template: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        check_template(template)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a-b_c.d/E9/", "img-", "x" * 512])
def test_prefixes(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize(
    "prefix",
    ["/a", "a//b", "./a", "../", "a/../b", ".a", "-a", "a b", "é/", "a$", "a\n", "x" * 513],
)
def test_prefixes_that_cannot_work_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="not usable in a key"):
        check_prefix(prefix)


@pytest.mark.parametrize("key", ["up/a.png", "up/a", "up/2026/b-c_d.tar.gz", "up/-a", "v2/x"])
def test_client_keys(key: str) -> None:
    check_client_key(key, ["up/", "v2/"])


@pytest.mark.parametrize(
    "key",
    [
        *("", "a.png", "UP/a.png", "u/p/a", "/up/a.png", "up", "up/", "up//a", "up/a/", "up/a//b"),
        *("up/../a", "up/./a", "up/..", "up/.a", "up/a.", "up/a..b", "up/A.png", "up/a b", "up/é"),
        *(
            "up/a$b",
            "up/${filename}",
            "up/a%2fb",
            "up/a\\b",
            "up/a\n",
            "up/a?b",
            "up/a#b",
            "up/a+b",
        ),
        *("up/\ud800", "up/a\x00", "up/" + "a" * 1022),
    ],
)
def test_client_keys_out_of_bounds_are_refused(key: str) -> None:
    with pytest.raises(InvalidName):
        check_client_key(key, ["up/"])


def test_a_client_key_may_have_1024_bytes() -> None:
    check_client_key("up/" + "a" * 1021, ["up/"])
    with pytest.raises(InvalidName, match="longer than 1024 bytes"):
        check_client_key("up/" + "a" * 1022, ["up/"])


@given(NAMES, st.sampled_from(["", "up/", "img-", "x" * 511 + "/"]))
def test_a_suggestion_is_always_acceptable(name: str, prefix: str) -> None:
    suggestion = suggest_key(prefix + name, prefix)
    if suggestion is None:
        with pytest.raises(InvalidName):
            clean_filename(name)
    else:
        check_client_key(suggestion, [prefix])


def test_a_suggestion_is_near_what_was_asked_for() -> None:
    assert suggest_key("up/My Photo.PNG", "up/") == "up/my-photo.png"
    assert suggest_key("up/a\x00.png", "up/") is None


@given(
    st.text(alphabet=st.characters(codec="ascii"), max_size=300)
    | st.text(alphabet="aB1 ,.'-_&#", max_size=300),
    st.integers(1, 200),
)
def test_plain_names_make_the_slugs_that_slugify_makes(stem: str, room: int) -> None:
    """The short cut must not be seen in a key."""
    theirs = slugify(
        stem,
        entities=False,
        decimal=False,
        hexadecimal=False,
        max_length=room,
        word_boundary=True,
        save_order=True,
    )
    template = "{uuid}" + "t" * (MAX_KEY_BYTES - 36 - room) + "{slug}"
    key = normalize_key(
        Filename("", stem, ""), now=NOW, unique=UNIQUE, owner="dev", template=template
    )
    assert key.removeprefix(template.format(uuid=UNIQUE, slug="")) == (theirs or "file")


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_timestamps_are_what_strftime_says(now: datetime) -> None:
    key = normalize_key(
        clean_filename("a"), now=now, unique=UNIQUE, owner="dev", template="{timestamp}/{date}"
    )
    assert key == now.strftime("%m-%d-%Y_%H-%M-%S-%f/%Y-%m-%d")
