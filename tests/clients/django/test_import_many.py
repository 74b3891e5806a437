"""`claimcheck_import` of ten thousand rows, killed and called again."""

import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.clients.django.import_shop import (
    COMMAND,
    RULES,
    add_products,
    imported,
    opened,
    outcomes,
)
from tests.support.service import Store
from tests.support.stores import rgw


@pytest.mark.slow
async def test_ten_thousand_rows(environ: dict[str, str], gateway: rgw.Rgw, tmp_path: Path) -> None:
    keys = gateway.owner
    store = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
    environ = environ | RULES | store.environ("ten-thousand")
    seed = random.Random(20)
    async with opened(environ, tmp_path) as shop:
        kinds = {
            "plain": ("img-{}.txt", str),
            "spaces, as they are": ("My Holiday {}.txt", str),
            "encoded": ("Straße {}.txt", quote),
            "encoded whole": ("Ünterföhring & {}.txt", lambda key: quote(key, safe="")),
            "as forms": ("two words+{}.txt", quote_plus),
            "percent, as it is": ("100% {}.txt", str),
            "dead": ("dead {}.txt", quote),
            "none of ours": ("other {}.txt", quote),
            "empty": ("", str),
        }
        shares = (30, 10, 20, 10, 5, 5, 10, 5, 5)
        chosen = seed.choices([*kinds], shares, k=10_000)
        rows, key_of = [], {}
        for number, kind in enumerate(chosen):
            name, encode = kinds[kind]
            key = f"files/{name.format(number)}" if name else ""
            head = seed.choice((shop.path_style, shop.virtual_style))
            if kind == "none of ours":
                head = "https://elsewhere.example.com/bucket/"
            rows.append(key and head + encode(key))
            if kind not in ("dead", "none of ours", "empty"):
                key_of[rows[-1]] = key
        live = [*key_of.values()]
        await shop.put(*live)
        add_products(shop.project, *rows)
        status, lines, error = await imported(shop.project, "--export", "objects.csv")
        assert (status, len(lines)) == (0, 10_000), error
        adopted = await shop.adopt("objects.csv")
        assert sum(line["outcome"] == "adopted" for line in adopted) == len(live)

        # Killed on the way, and called again.
        process = await shop.project.start(
            *COMMAND, "shop.Product.picture", "--from", "image", "--apply"
        )
        assert process.stdout is not None
        for _ in range(1500):
            await process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        begun = time.monotonic()
        status, lines, error = await imported(shop.project, "--apply")
        took = time.monotonic() - begun
        counts = Counter(outcomes(lines))
        sys.stderr.write(f"{error}{took:.1f} s\n")
        assert [line["pk"] for line in lines] == [*range(1, 10_001)]
        wanted = Counter(chosen)
        assert (status, counts["unknown"]) == (2, wanted["dead"] + wanted["none of ours"])
        assert counts["empty"] == wanted["empty"]
        assert counts["kept"] >= 1000 - wanted["empty"]
        assert counts["imported"] + counts["kept"] == len(live)
        assert counts.total() == 10_000
        # Each has its own.
        [(distinct, filled)] = shop.project.sql(
            "SELECT count(DISTINCT picture), count(*) FROM shop_product WHERE picture <> ''"
        )
        assert (distinct, filled) == (len(live), len(live))
        named = shop.project.sql("SELECT picture, image FROM shop_product WHERE picture <> ''")
        for file_id, image in seed.sample(named, 50):
            file = (await shop.client.get(f"/v1/files/{file_id}")).json()
            assert file["key"] == key_of[image]
